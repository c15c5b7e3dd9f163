"""Which content a browser would run or draw as a page of this origin: it is only ever given as a download."""

_RENDERED = ("html", "xml", "svg", "javascript", "ecmascript", "css")


def is_rendered(content_type: str) -> bool:
    """Say whether a browser would run that content, or draw it as a page."""
    return any(word in content_type for word in _RENDERED)

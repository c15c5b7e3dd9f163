"""Names at the providers, made of project, stack and role; logical names are the roles themselves."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Naming:
    """Physical names of one stack, so that prod and staging may share an account and, in a rehearsal, a machine."""

    project: str
    stack: str

    def of(self, *parts: str) -> str:
        """`comfyume-staging-gpu-1` for ("gpu-1",): at most 63 characters, as host names allow."""
        return "-".join((self.project, self.stack, *parts))

    def image(self, service: str, content: str) -> str:
        """`comfyume/auth:1f0c...`: the tag is the content, so an untouched service keeps its image."""
        return f"{self.project}/{service.replace('_', '-')}:{content}"

    @property
    def labels(self) -> dict[str, str]:
        """Put on everything that can be labelled: whose it is, and that no hand should touch it."""
        return {"project": self.project, "stack": self.stack, "managed-by": "pulumi"}

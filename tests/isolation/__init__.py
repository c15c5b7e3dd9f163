"""Nobody reaches anybody else: every address of the running applications, tried by one participant against another."""

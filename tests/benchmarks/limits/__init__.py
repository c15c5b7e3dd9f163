"""The floor under each figure: the least that a server of this kind can do, so that goals are shares of it."""

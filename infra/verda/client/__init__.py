"""The parts of the client: how requests travel, and a file for each kind of thing. `infra/verda/api.py` joins them."""

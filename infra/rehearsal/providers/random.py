"""Stands in for the random provider: real random values that live in the state alone, as the real provider's do."""

from __future__ import annotations

import base64
import secrets
import string

import bcrypt

from infra.rehearsal.providers import server
from infra.rehearsal.providers.values import Existing, Properties, ProviderFailure, Request

_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
_COST = 10  # of the real provider's bcryptHash
_CLASSES = {"lower": string.ascii_lowercase, "upper": string.ascii_uppercase, "numeric": string.digits}


class StandIn(server.StandIn):
    """Random values."""

    def read(self, request: Request) -> Existing | None:
        return Existing(request.id, request.old_outputs, request.old_inputs)

    def new_id(self, request: Request) -> str:
        return "none"

    def create(self, request: Request) -> Existing:
        outputs = {**request.inputs, **self.computed(request, "")}
        return Existing(str(outputs.get("b64Url") or "none"), outputs, request.inputs)

    def update(self, request: Request) -> Properties:
        return {**request.old_outputs, **request.inputs}

    def delete(self, request: Request) -> None:
        """Nothing is anywhere but in the state."""

    def computed(self, request: Request, id_: str) -> Properties:
        match request.type.rpartition(":")[2]:
            case "RandomPassword":
                result = _text(request.inputs)
                hashed = bcrypt.hashpw(result.encode()[:72], bcrypt.gensalt(_COST)).decode()
                return {**_defaults(request.inputs), "result": result, "bcryptHash": hashed}
            case "RandomString":
                return {**_defaults(request.inputs), "result": _text(request.inputs)}
            case "RandomBytes":
                value = secrets.token_bytes(request.inputs["length"])
                return {"base64": base64.b64encode(value).decode(), "hex": value.hex()}
            case "RandomId":
                return _id(request.inputs)
        raise ProviderFailure(f"the stand-in for random makes no {request.type}")


def _defaults(inputs: Properties) -> Properties:
    chosen = {name: inputs.get(name, True) for name in ("lower", "upper", "numeric", "special")}
    least = {name: inputs.get(name, 0) for name in ("minLower", "minUpper", "minNumeric", "minSpecial")}
    return {**chosen, **least, "number": chosen["numeric"]}


def _text(inputs: Properties) -> str:
    special = inputs.get("overrideSpecial") or _SPECIAL
    classes = {**_CLASSES, "special": special}
    chosen = {name: letters for name, letters in classes.items() if inputs.get(name, True)}
    least = [
        secrets.choice(letters)
        for name, letters in chosen.items()
        for _ in range(inputs.get(f"min{name.capitalize()}") or 0)
    ]
    every = "".join(chosen.values())
    result = least + [secrets.choice(every) for _ in range(inputs["length"] - len(least))]
    secrets.SystemRandom().shuffle(result)
    return "".join(result)


def _id(inputs: Properties) -> Properties:
    value, prefix = secrets.token_bytes(inputs["byteLength"]), inputs.get("prefix") or ""
    return {
        "b64Std": prefix + base64.b64encode(value).decode(),
        "b64Url": prefix + base64.urlsafe_b64encode(value).decode().rstrip("="),
        "hex": prefix + value.hex(),
        "dec": prefix + str(int.from_bytes(value)),
    }

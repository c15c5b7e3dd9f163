"""Stands in for Cloudflare: R2 buckets with their sub-resources, DNS records, account tokens and their rights.

Its oddities are the real provider's: sub-resources of a bucket answer the account's id as theirs, and deleting a lock
or a lifecycle changes nothing at Cloudflare.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from infra.rehearsal.providers import server
from infra.rehearsal.providers.values import Existing, Properties, ProviderFailure, Request

_BUCKET = "cloudflare:index/r2Bucket:R2Bucket"
_RECORD = "cloudflare:index/dnsRecord:DnsRecord"
_TOKEN = "cloudflare:index/accountToken:AccountToken"  # noqa: S105  a resource's type
_OF_A_BUCKET = ("cloudflare:index/r2Bucket", "cloudflare:index/r2ManagedDomain")
_KEPT_BY_DELETE = (
    "cloudflare:index/r2BucketLock:R2BucketLock",
    "cloudflare:index/r2BucketLifecycle:R2BucketLifecycle",
    "cloudflare:index/r2ManagedDomain:R2ManagedDomain",
)
_PERMISSION_GROUPS = (
    "Workers R2 Storage Read",
    "Workers R2 Storage Write",
    "Workers R2 Storage Bucket Item Read",
    "Workers R2 Storage Bucket Item Write",
)


class StandIn(server.StandIn):
    """Cloudflare, one account."""

    def create(self, request: Request) -> Existing:
        if request.type == _BUCKET and self.cloud.get(self.name, _BUCKET, self.key(request, "")):
            raise ProviderFailure("the bucket you tried to create already exists, and you own it (10004)")
        if request.type == _RECORD and any(
            all(other.inputs.get(part) == request.inputs.get(part) for part in ("zoneId", "name", "type", "content"))
            for other in self.cloud.records(_RECORD)
        ):
            raise ProviderFailure("an identical record already exists (81058)")
        self._refuse_missing_bucket(request)
        return super().create(request)

    def read(self, request: Request) -> Existing | None:
        found = super().read(request)
        if found is None or request.type != _BUCKET:
            return found
        return Existing(found.inputs["name"], found.outputs, found.inputs)

    def delete(self, request: Request) -> None:
        if request.type not in _KEPT_BY_DELETE:
            super().delete(request)

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Properties:
        if token.rpartition(":")[2] != "getAccountApiTokenPermissionGroupsList":
            return super().invoke(token, arguments)
        wanted = unquote(arguments.get("name") or "")
        groups = [
            {"id": _id_of(name), "name": name, "scopes": ["com.cloudflare.api.account"]}
            for name in _PERMISSION_GROUPS
            if wanted.lower() in name.lower()
        ]
        return {**arguments, "results": groups}

    def new_id(self, request: Request) -> str:
        if request.type == _BUCKET:
            return str(request.inputs["name"])
        if request.type.startswith(_OF_A_BUCKET):
            return str(request.inputs["accountId"])
        return secrets.token_hex(16)

    def key(self, request: Request, id_: str) -> str:
        inputs = request.inputs or request.old_outputs
        if not request.type.startswith(_OF_A_BUCKET) or not inputs:
            return id_  # an import names a bucket by account, name and jurisdiction already
        name = inputs["name"] if request.type == _BUCKET else inputs["bucketName"]
        return f"{inputs['accountId']}/{name}/{inputs.get('jurisdiction') or 'default'}"

    def computed(self, request: Request, id_: str) -> Properties:
        now = datetime.datetime.now(datetime.UTC).isoformat()
        if request.type == _BUCKET:
            jurisdiction, storage = request.inputs.get("jurisdiction"), request.inputs.get("storageClass")
            given = {"jurisdiction": jurisdiction or "default", "storageClass": storage or "Standard"}
            return {"creationDate": now, "location": request.inputs.get("location") or "WEUR", **given}
        if request.type == _RECORD:
            return {"createdOn": now, "modifiedOn": now, "proxiable": True}
        if request.type == _TOKEN:
            return {"value": secrets.token_urlsafe(30), "status": "active", "issuedOn": now, "modifiedOn": now}
        return {}

    def _refuse_missing_bucket(self, request: Request) -> None:
        if not request.type.startswith(_OF_A_BUCKET) or request.type == _BUCKET:
            return
        if self.cloud.get(self.name, _BUCKET, self.key(request, "")) is None:
            raise ProviderFailure(
                f"the specified bucket {request.inputs['bucketName']} does not exist in this jurisdiction (10006)"
            )


def _id_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]

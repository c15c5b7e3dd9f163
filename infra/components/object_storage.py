"""The buckets on R2: European, locked, kept; and for each writer a key of its own that reaches its buckets only.

R2 knows no permission to write without deleting, so it is the bucket's lock that makes storage append-only; no key
handed to a machine may change a lock.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_cloudflare as cloudflare

from infra.protection import is_protected
from infra.settings_sections import BucketSettings
from infra.stack import Stack

JURISDICTION = "eu"
SECONDS_A_DAY = 24 * 3600
ITEM_READ = "Workers R2 Storage Bucket Item Read"
ITEM_WRITE = "Workers R2 Storage Bucket Item Write"
"""Names of Cloudflare's permission groups that reach into single buckets."""

WRITERS: Mapping[str, Sequence[str]] = {
    "app-host": ("cache", "user-files", "worker-container"),
    "gpu-host": ("cache", "model-vault", "worker-container"),
}
"""Who writes into which buckets (product requirement, section 7)."""


@dataclass(frozen=True, kw_only=True)
class ObjectStorageArgs:
    """Plain values: everything is known before anything exists."""

    stack: Stack


@dataclass(frozen=True)
class WriterKey:
    """S3 credentials of one writer; `secret_access_key` is a Pulumi secret."""

    access_key_id: pulumi.Output[str]
    secret_access_key: pulumi.Output[str]


class ObjectStorage(pulumi.ComponentResource):
    """`bucket_names` by role (`cache`, `model-vault`, ...); `writers` by machine's role."""

    bucket_names: Mapping[str, pulumi.Output[str]]
    writers: Mapping[str, WriterKey]

    def __init__(self, name: str, args: ObjectStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:storage:ObjectStorage", name, None, opts)
        self._stack, self._settings = args.stack, args.stack.settings.object_storage
        roles = self._settings.buckets.by_role()
        self.bucket_names = {role: self._bucket(role, wanted) for role, wanted in roles.items()}
        for legacy in self._settings.legacy_buckets:
            self._kept_bucket(f"bucket-legacy-{legacy}", legacy, adopt=True)
        groups = self._permission_groups()
        self.writers = {
            writer: self._writer(writer, [roles[role].name for role in reached], groups)
            for writer, reached in WRITERS.items()
        }
        self.register_outputs({"bucket_names": dict(self.bucket_names)})

    def _bucket(self, role: str, wanted: BucketSettings) -> pulumi.Output[str]:
        bucket = self._kept_bucket(f"bucket-{role}", wanted.name, adopt=wanted.adopt)
        if wanted.locked_days:
            cloudflare.R2BucketLock(
                f"bucket-{role}-lock",
                account_id=self._settings.account_id,
                bucket_name=bucket.name,
                jurisdiction=JURISDICTION,
                rules=[
                    cloudflare.R2BucketLockRuleArgs(
                        id="append-only",
                        enabled=True,
                        prefix="",
                        condition=cloudflare.R2BucketLockRuleConditionArgs(
                            type="Age", max_age_seconds=wanted.locked_days * SECONDS_A_DAY
                        ),
                    )
                ],
                opts=pulumi.ResourceOptions(
                    parent=self,
                    provider=self._stack.providers.cloudflare,
                    protect=is_protected(f"bucket-{role}-lock", self._stack.settings.protection),
                ),
            )
        return bucket.name

    def _kept_bucket(self, name: str, bucket: str, *, adopt: bool) -> cloudflare.R2Bucket:
        account = self._settings.account_id
        return cloudflare.R2Bucket(
            name,
            account_id=account,
            name=bucket,
            jurisdiction=JURISDICTION,
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=self._stack.providers.cloudflare,
                protect=is_protected(name, self._stack.settings.protection),
                retain_on_delete=True,
                # The provider neither changes a jurisdiction nor replaces for it: it would be recorded and not true.
                replace_on_changes=["jurisdiction"],
                ignore_changes=["location"],
                import_=f"{account}/{bucket}/{JURISDICTION}" if adopt else None,
            ),
        )

    def _permission_groups(self) -> pulumi.Output[dict[str, str]]:
        found = cloudflare.get_account_api_token_permission_groups_list_output(
            account_id=self._settings.account_id,
            opts=pulumi.InvokeOutputOptions(parent=self, provider=self._stack.providers.cloudflare),
        )
        return found.apply(lambda answer: {group.name: group.id for group in answer.results})

    def _writer(self, writer: str, buckets: list[str], groups: pulumi.Output[dict[str, str]]) -> WriterKey:
        account = self._settings.account_id
        reached = {
            f"com.cloudflare.edge.r2.bucket.{account}_{JURISDICTION}_{bucket}": "*" for bucket in sorted(buckets)
        }
        # Cloudflare answers the groups sorted by id; another order would be a difference for ever.
        ids = groups.apply(lambda by_name: sorted(by_name[group] for group in (ITEM_READ, ITEM_WRITE)))
        token = cloudflare.AccountToken(
            f"writer-{writer}",
            account_id=account,
            name=self._stack.naming.of(f"writer-{writer}"),
            policies=[
                cloudflare.AccountTokenPolicyArgs(
                    effect="allow",
                    permission_groups=ids.apply(
                        lambda group_ids: [
                            cloudflare.AccountTokenPolicyPermissionGroupArgs(id=group_id) for group_id in group_ids
                        ]
                    ),
                    resources=json.dumps(reached),
                )
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=self._stack.providers.cloudflare,
                protect=is_protected(f"writer-{writer}", self._stack.settings.protection),
            ),
        )
        # R2's S3 keys: the token's id, and the SHA-256 of its value (Cloudflare's documentation of R2 tokens).
        secret = token.value.apply(lambda value: hashlib.sha256(value.encode()).hexdigest())
        return WriterKey(token.id, pulumi.Output.secret(secret))

"""A container's inputs (wire names of pulumi-docker) as what Docker's API takes; pure, nothing is called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from docker.types import DeviceRequest, Healthcheck, LogConfig, Mount, Ulimit

MEGABYTE = 1024 * 1024
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}

Inputs = Mapping[str, Any]


def container_options(inputs: Inputs) -> dict[str, Any]:
    """What belongs to the process: arguments of `create_container` but image, name, host and network."""
    options = {
        "command": inputs.get("command"),
        "entrypoint": inputs.get("entrypoints"),
        "environment": inputs.get("envs"),
        "user": inputs.get("user"),
        "working_dir": inputs.get("workingDir"),
        "hostname": inputs.get("hostname"),
        "domainname": inputs.get("domainname"),
        "tty": inputs.get("tty"),
        "stdin_open": inputs.get("stdinOpen"),
        "stop_signal": inputs.get("stopSignal"),
        "stop_timeout": inputs.get("stopTimeout"),
        "healthcheck": healthcheck(inputs["healthcheck"]) if inputs.get("healthcheck") else None,
        "ports": [(port["internal"], port.get("protocol") or "tcp") for port in inputs.get("ports") or []],
        "labels": labels(inputs.get("labels")),
    }
    return {name: value for name, value in options.items() if value is not None}


def host_options(inputs: Inputs, mounts: list[Mount], has_nvidia: bool) -> dict[str, Any]:
    """What the host grants and limits: arguments of `create_host_config` but port bindings."""
    capabilities = inputs.get("capabilities") or {}
    options = {
        "mounts": mounts or None,
        "read_only": inputs.get("readOnly"),
        "cap_add": capabilities.get("adds"),
        "cap_drop": capabilities.get("drops"),
        "security_opt": inputs.get("securityOpts"),
        "privileged": inputs.get("privileged"),
        "mem_limit": _bytes(inputs.get("memory")),
        "memswap_limit": _bytes(inputs.get("memorySwap")),
        "mem_reservation": _bytes(inputs.get("memoryReservation")),
        "shm_size": _bytes(inputs.get("shmSize")),
        "nano_cpus": round(float(inputs["cpus"]) * 10**9) if inputs.get("cpus") else None,
        "cpu_shares": inputs.get("cpuShares"),
        "cpuset_cpus": inputs.get("cpuSet"),
        "cpu_period": inputs.get("cpuPeriod"),
        "cpu_quota": inputs.get("cpuQuota"),
        "tmpfs": inputs.get("tmpfs"),
        "restart_policy": restart_policy(inputs),
        "log_config": _log_config(inputs),
        "group_add": inputs.get("groupAdds"),
        "init": inputs.get("init"),
        "extra_hosts": {entry["host"]: entry["ip"] for entry in inputs.get("hosts") or []} or None,
        "dns": inputs.get("dns"),
        "ulimits": [
            Ulimit(name=entry["name"], soft=entry["soft"], hard=entry["hard"]) for entry in inputs.get("ulimits") or []
        ]
        or None,
        "sysctls": inputs.get("sysctls"),
        "pid_mode": inputs.get("pidMode"),
        "ipc_mode": inputs.get("ipcMode"),
        "publish_all_ports": inputs.get("publishAllPorts"),
        "auto_remove": inputs.get("rm"),
        "device_requests": [gpu_request(inputs["gpus"])] if inputs.get("gpus") and has_nvidia else None,
    }
    return {name: value for name, value in options.items() if value is not None}


def mount(entry: Inputs, source: str | None) -> Mount:
    """One mount; `source` is where it lies on the engine's machine."""
    bind, volume, tmpfs = (entry.get(f"{kind}Options") or {} for kind in ("bind", "volume", "tmpfs"))
    return Mount(
        entry["target"],
        source,
        type=entry["type"],
        read_only=bool(entry.get("readOnly")),
        propagation=bind.get("propagation"),
        no_copy=bool(volume.get("noCopy")),
        labels=labels(volume.get("labels")),
        tmpfs_size=tmpfs.get("sizeBytes"),
        tmpfs_mode=tmpfs.get("mode"),
    )


def healthcheck(entry: Inputs) -> Healthcheck:
    """The check with its durations in nanoseconds; 0 is what Docker calls "as the image says"."""
    return Healthcheck(
        test=list(entry["tests"]),
        interval=nanoseconds(entry.get("interval")),
        timeout=nanoseconds(entry.get("timeout")),
        start_period=nanoseconds(entry.get("startPeriod")),
        retries=int(entry.get("retries") or 0),
    )


def nanoseconds(duration: str | None) -> int:
    """`1m30s`, `500ms`: a duration as Go writes it. Raises ValueError for anything else."""
    if duration in (None, "", "0"):
        return 0
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", duration)
    if "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is no duration such as 5s or 1m30s")
    return round(sum(float(number) * _UNITS[unit] for number, unit in parts))


def restart_policy(inputs: Inputs) -> dict[str, Any] | None:
    """Docker's form of `restart` and `maxRetryCount`."""
    if not inputs.get("restart"):
        return None
    return {"Name": inputs["restart"], "MaximumRetryCount": int(inputs.get("maxRetryCount") or 0)}


def update_options(inputs: Inputs) -> dict[str, Any]:
    """What Docker can change while a container runs: arguments of `update_container`."""
    options = {
        "mem_limit": _bytes(inputs.get("memory")),
        "memswap_limit": _bytes(inputs.get("memorySwap")),
        "mem_reservation": _bytes(inputs.get("memoryReservation")),
        "cpu_shares": inputs.get("cpuShares"),
        "cpuset_cpus": inputs.get("cpuSet"),
        "restart_policy": restart_policy(inputs),
    }
    return {name: value for name, value in options.items() if value is not None}


def gpu_request(gpus: str) -> DeviceRequest:
    """`all`, or `device=0,1`."""
    if gpus.startswith("device="):
        return DeviceRequest(device_ids=gpus.removeprefix("device=").split(","), capabilities=[["gpu"]])
    return DeviceRequest(count=-1 if gpus == "all" else int(gpus), capabilities=[["gpu"]])


def labels(entries: list[Inputs] | None) -> dict[str, str]:
    """Labels as a map."""
    return dict(_pairs(entries or []))


def _pairs(entries: list[Inputs]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        yield entry["label"], entry["value"]


def _log_config(inputs: Inputs) -> LogConfig | None:
    if not inputs.get("logDriver"):
        return None
    return LogConfig(type=inputs["logDriver"], config=dict(inputs.get("logOpts") or {}))


def _bytes(megabytes: float | None) -> int | None:
    """-1 stays: no limit."""
    if megabytes is None:
        return None
    return int(megabytes) if megabytes < 0 else int(megabytes) * MEGABYTE

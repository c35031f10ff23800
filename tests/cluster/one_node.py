"""A real SLURM of one node on this machine: its configuration, its start and its end.

As root and without systemd, as in a container of CI. Two empty files serve as graphics cards. What
SLURM reads lies in /etc/slurm, because jobs do not inherit a SLURM_CONF.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

PROGRAMS = ("slurmctld", "slurmd", "munged", "mungekey", "sinfo", "squeue", "scancel")
SETTINGS = Path("/etc/slurm")
ALONE = Path("/tmp/one-node-slurm.lock")  # /etc/slurm is one for the whole machine
CLUSTER = "one_node_for_tests"
OURS = "# The one node of this project's tests; removed after them.\n"

# config_overrides: the node has the cores and the memory written here, so that two jobs of the
# profile's size run at once on any machine. cred_expire: how long a requeued job waits, 120 s
# otherwise. MinJobAge: how long an ended job is still listed. A job of the partition `urgent`
# preempts those of the other, after some seconds' grace. A container offers neither cgroups nor
# accounting.
SLURM_CONF = """{ours}ClusterName={cluster}
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=20
MinJobAge=3600
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 Boards=1 SocketsPerBoard=1 CoresPerSocket=4 \
ThreadsPerCore=1 RealMemory=200000 Gres=gpu:2
PartitionName=gpu Nodes={host} Default=YES PriorityTier=1 GraceTime=15
PartitionName=urgent Nodes={host} PriorityTier=2
"""
GRES_CONF = "{ours}NodeName={host} Name=gpu File={folder}/card[0-1]\n"


def why_not() -> str | None:
    """What keeps this machine from running a cluster of its own, or None."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        return f"{', '.join(missing)} missing: apt-get install slurm-wlm munge"
    if not importlib.util.find_spec("snakemake_executor_plugin_slurm"):
        return "pip install snakemake-executor-plugin-slurm"
    if os.getuid() != 0:
        return "SLURM's daemons are started as root"
    settings = SETTINGS / "slurm.conf"
    if settings.exists() and not settings.read_text().startswith(OURS):
        return f"{settings} belongs to another cluster"
    return None


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """The cluster, with its state and logs in `folder`, until the block ends."""
    with FileLock(ALONE):
        munge = None
        try:
            configure(folder)
            munge = start_munge()
            start("slurmctld", folder)
            start("slurmd", folder)
            wait_until_idle(folder)
            yield
        finally:
            # `timeout`, not an exception: the daemons must be stopped in any case.
            kill = ["timeout", "20", "scancel", "--signal=KILL", "--full", "--user=root"]
            subprocess.run(kill, check=False, capture_output=True)
            for pid_file in (folder / "slurmd.pid", folder / "slurmctld.pid", munge):
                stop(pid_file)
            kill_what_is_left()
            for name in ("slurm.conf", "gres.conf"):
                (SETTINGS / name).unlink(missing_ok=True)


def configure(folder: Path) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    for card in range(2):
        (folder / f"card{card}").touch()
    host = socket.gethostname().split(".")[0]
    for name, text in (("slurm.conf", SLURM_CONF), ("gres.conf", GRES_CONF)):
        (SETTINGS / name).write_text(
            text.format(ours=OURS, cluster=CLUSTER, host=host, folder=folder)
        )


def start_munge() -> Path | None:
    """The file with the new daemon's process number; None where munge runs already."""
    if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0:
        return None
    if not Path("/etc/munge/munge.key").exists():
        subprocess.run(["mungekey", "--create"], check=True, timeout=30)
    owner = pwd.getpwnam("munge")
    for place in ("/run/munge", "/etc/munge", "/var/lib/munge", "/var/log/munge"):
        Path(place).mkdir(exist_ok=True)
        for path in (Path(place), *Path(place).iterdir()):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    subprocess.run(
        ["su", "-s", "/bin/sh", "munge", "-c", f"{shutil.which('munged')} --force"],
        check=True,
        timeout=30,
    )
    return Path("/run/munge/munged.pid")


def start(daemon: str, folder: Path) -> None:
    subprocess.run([daemon], check=True, timeout=30)
    deadline = time.monotonic() + 20
    while not (folder / f"{daemon}.pid").exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{daemon} does not start: see {folder}/{daemon}.log")
        time.sleep(0.1)


def wait_until_idle(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        asked = ["timeout", "10", "sinfo", "--noheader", "--format=%T"]
        state = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
        if state and set(state) == {"idle"}:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the node is {state or 'not there'}: see {folder}/slurmctld.log")
        time.sleep(0.3)


def stop(pid_file: Path | None) -> None:
    """SIGTERM to a daemon, and wait until it has ended."""
    if not pid_file or not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)


def kill_what_is_left() -> None:
    """Jobs' processes that SLURM lost sight of, as it does without cgroups when a parent died."""
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"SLURM_CLUSTER_NAME={CLUSTER}".encode() in file.read_bytes().split(b"\0"):
                os.kill(int(file.parent.name), signal.SIGKILL)
        except OSError:
            continue  # it has ended meanwhile


def is_alive(pid: int) -> bool:
    """Not if ended but for its parent to notice, which a container's first process may never do."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False

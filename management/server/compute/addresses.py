"""Addresses of nics: which are free, taking one, giving it back."""

import random
import secrets
import uuid
from collections.abc import Iterable
from ipaddress import IPv4Address

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from management.server.errors import ApiError
from management.server.models.networks import IpRangeVO, L3NetworkVO, UsedIpVO
from management.server.models.vms import VmNicVO

TRIES = 64


def free_address(start: str, end: str, used: Iterable[str], draw: random.Random) -> str | None:
    """A random address from `start` to `end` that is not in `used`, or None when all are."""
    first, last = int(IPv4Address(start)), int(IPv4Address(end))
    taken = {number for ip in used if first <= (number := int(IPv4Address(ip))) <= last}
    if len(taken) > last - first:
        return None
    for _ in range(TRIES):
        number = draw.randint(first, last)
        if number not in taken:
            return str(IPv4Address(number))
    return str(IPv4Address(next(number for number in range(first, last + 1) if number not in taken)))


def add_nic(session: Session, vm_uuid: str, l3_uuid: str) -> VmNicVO:
    """Give the VM a nic on the network, with an address of one of its ranges.

    Raises:
        ApiError: SYS.1006 the network is disabled; L3.1000 it has no free address.
    """
    l3 = session.get_one(L3NetworkVO, l3_uuid)
    if l3.state != "Enabled":
        raise ApiError("SYS.1006", f"L3 network[uuid:{l3_uuid}] is disabled")
    used = session.scalars(select(UsedIpVO.ip).where(UsedIpVO.l3NetworkUuid == l3_uuid)).all()
    ranges = select(IpRangeVO).where(IpRangeVO.l3NetworkUuid == l3_uuid, IpRangeVO.deleted.is_(None))
    for row in session.scalars(ranges.order_by(IpRangeVO.createDate)).all():
        ip = free_address(row.startIp, row.endIp, used, random.SystemRandom())
        if ip is not None:
            taken = UsedIpVO(uuid=uuid.uuid4().hex, ipRangeUuid=row.uuid, l3NetworkUuid=l3_uuid, ip=ip)
            session.add(taken)
            session.flush()
            return _add_nic(session, vm_uuid, row, taken)
    raise ApiError("L3.1000", f"L3 network[uuid:{l3_uuid}] has no free address")


def _add_nic(session: Session, vm_uuid: str, ip_range: IpRangeVO, taken: UsedIpVO) -> VmNicVO:
    last = session.scalar(select(func.max(VmNicVO.deviceId)).where(VmNicVO.vmInstanceUuid == vm_uuid))
    device = 0 if last is None else last + 1
    # fa: locally administered, unicast. The last byte is the device, as the hosts' tools expect.
    mac = ":".join(["fa", *(f"{byte:02x}" for byte in secrets.token_bytes(4)), f"{device:02x}"])
    nic = VmNicVO(
        uuid=uuid.uuid4().hex,
        vmInstanceUuid=vm_uuid,
        l3NetworkUuid=taken.l3NetworkUuid,
        usedIpUuid=taken.uuid,
        ip=taken.ip,
        netmask=ip_range.netmask,
        gateway=ip_range.gateway,
        mac=mac,
        deviceId=device,
    )
    session.add(nic)
    session.flush()
    return nic


def remove_nic(session: Session, nic: VmNicVO) -> None:
    """Take the nic away and free its address."""
    used = session.get(UsedIpVO, nic.usedIpUuid) if nic.usedIpUuid else None
    session.delete(nic)
    session.flush()
    if used is not None:
        session.delete(used)


def remove_nics(session: Session, vm_uuid: str) -> None:
    """Take all of the VM's nics away."""
    for nic in session.scalars(select(VmNicVO).where(VmNicVO.vmInstanceUuid == vm_uuid)).all():
        remove_nic(session, nic)

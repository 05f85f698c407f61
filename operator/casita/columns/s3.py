"""What the object store is told: whose keys are which, who may read a bucket, and by whose word.

The store is versitygw, whose admin API makes accounts (its ``s3api/controllers/admin.go``). Keys of
users are nowhere kept: they follow from the store's own keys and the user's name.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree as Xml

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REGION: Final = "us-east-1"
"""What versitygw calls itself, and clients that were told of none take."""
READ: Final = ("s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation")

_PREFIX: Final = "casita-"
_PURPOSE: Final = b"casita object store account\0"


@dataclass(frozen=True, slots=True)
class Keys:
    """By what the store knows somebody."""

    access: str
    secret: str = field(repr=False)


def own_keys(root: Keys, user: str) -> Keys:
    """Return a user's own keys; other keys of the store make others of them."""
    digest = hmac.digest(root.secret.encode(), _PURPOSE + user.encode(), hashlib.sha256)
    secret = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return Keys(f"{_PREFIX}{user}", secret)


def account(keys: Keys) -> bytes:
    """Return an account that may do nothing of itself: neither make buckets, nor see others'."""
    told = Xml.Element("Account")
    for name, value in (("Access", keys.access), ("Secret", keys.secret), ("Role", "user")):
        Xml.SubElement(told, name).text = value
    return Xml.tostring(told)


def changes(keys: Keys) -> bytes:
    """Return what makes an account have these keys, and no further right."""
    told = Xml.Element("MutableProps")
    for name, value in (("Secret", keys.secret), ("Role", "user")):
        Xml.SubElement(told, name).text = value
    return Xml.tostring(told)


def users(listed: bytes) -> frozenset[str]:
    """Return the users of a list of accounts; accounts that are not casita's are left out."""
    found = Xml.fromstring(listed).findall(".//{*}Access")  # noqa: S314 - from the chart's own store
    names = [each.text or "" for each in found]
    return frozenset(name.removeprefix(_PREFIX) for name in names if name.startswith(_PREFIX))


def reader(bucket: str, access: str) -> bytes:
    """Return the policy of a bucket that one account may list and read."""
    where = f"arn:aws:s3:::{bucket}"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": [access]},
        "Action": READ,
        "Resource": [where, f"{where}/*"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()


def signed(keys: Keys, method: str, url: str, body: bytes) -> dict[str, str]:
    """Return the headers by which the store knows who calls (AWS Signature Version 4)."""
    request = AWSRequest(method=method, url=url, data=body)
    S3SigV4Auth(Credentials(keys.access, keys.secret), "s3", REGION).add_auth(request)
    return dict(request.headers.items())

"""What goes wrong in an archive, in one plain line.

What belongs here: the exceptions and the translation of obstore's messages. What does not: any
decision what to do about them.
"""

from __future__ import annotations

import errno
import os
import re

from obstore.exceptions import BaseError

#: what obstore raises for a store that cannot do what it is asked (never for a wrong call of ours)
STORE_ERRORS = (BaseError, OSError, NotImplementedError)

_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3}[A-Za-z ]{0,40})")
_OS_ERROR = re.compile(r"\(os error (\d{1,3})\)")

# S3's error codes (Amazon S3 API Reference, "Error Responses") that an operator can do something
# about.
_REASONS = {
    "NoSuchBucket": "the bucket does not exist",
    "InvalidBucketName": "the bucket's name is not valid",
    "InvalidAccessKeyId": "the server does not know the access key (AWS_ACCESS_KEY_ID)",
    "SignatureDoesNotMatch": "the secret key is wrong (AWS_SECRET_ACCESS_KEY)",
    "AccessDenied": "the server denies access: the account lacks the right, or no key was given",
    "AllAccessDisabled": "the server denies all access to the bucket",
    "ExpiredToken": "the session token has expired (AWS_SESSION_TOKEN)",
    "InvalidToken": "the session token is not valid (AWS_SESSION_TOKEN)",
    "RequestTimeTooSkewed": "this machine's clock differs too much from the server's",
    "PermanentRedirect": "the bucket is in another region (AWS_REGION) or at another endpoint",
    "AuthorizationHeaderMalformed": "the bucket is in another region (AWS_REGION)",
    "SlowDown": "the server asks for fewer requests",
    "QuotaExceeded": "the bucket is full",
}


class ArchiveError(Exception):
    """The archive cannot do what it was asked; the message is one line: store, key, reason."""


class NotInArchive(ArchiveError):
    """There is nothing under that key."""


def store_error(description: str, key: str, error: Exception) -> ArchiveError:
    """An exception of obstore's in one plain line, without its address, its XML and its trace.

    Args:
        description: of the archive, for people.
        key: what it was about; may be empty.
        error: what obstore raised.
    """
    text = str(error)
    place = f"{description}: {key}" if key else description
    code = _first(_CODE, text)
    if _is_absence(error, code, text):
        return NotInArchive(f"{place}: is not in the archive")
    return ArchiveError(f"{place}: {_reason(error, code, text)}")


def _is_absence(error: Exception, code: str | None, text: str) -> bool:
    if isinstance(error, FileNotFoundError):
        return code in (None, "NoSuchKey")
    # ENOTDIR: a folder's key below another key, which S3 allows and a file system does not. ENOENT:
    # its folder went while it was worked on.
    return _first(_OS_ERROR, text) in (str(errno.ENOTDIR), str(errno.ENOENT))


def _reason(error: Exception, code: str | None, text: str) -> str:
    if code:
        return _REASONS.get(code) or f"the server answers {code}"
    number = _first(_OS_ERROR, text)
    if number:
        return os.strerror(int(number))
    status = _first(_STATUS, text)
    if status:
        return f"the server answers {status.strip()}"
    if "169.254." in text:
        # Where Amazon's machines find their role's credentials; nothing else answers there.
        return "no credentials were found (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
    if "HTTP error" in text:
        return "the server cannot be reached, or the connection broke"
    return f"it cannot be used ({type(error).__name__})"


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found.group(1) if found else None

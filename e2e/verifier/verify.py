"""A second verifier of audit exports, written from docs/audit.md alone, so that the document and `hitl audit verify` can be
held against something that shares no line of code with them.

    python3 verify.py FILE --keys FILE [--heads FILE]
    python3 verify.py --many < jobs        one JSON object {"file", "keys", "heads"} per line; one JSON result per line

Exit codes: 0 intact, 1 not checked, 2 changed, 3 not proven.
"""

import argparse
import base64
import binascii
import json
import re
import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from typing import Any, BinaryIO, Iterator

from ed25519 import decode, is_signed

LONGEST_LINE = 64 * 1024 * 1024
LARGEST_NUMBER = 2**53 - 1
BLANKS = " \t\r\ufeff"
STILL_SIGNS_AFTER_RETIREMENT = timedelta(seconds=60)

NOT_PROVEN = {
    "seal.unknown_key",
    "end.unknown_key",
    "outside.torn",
    "outside.unknown_key",
    "seal.revoked_key",
    "end.revoked_key",
    "erasable.unproven",
    "start.unproven",
}

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NUMBER = r"(?:0|[1-9][0-9]{0,15})"
COMPACT = r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
HEADER_LINE = re.compile(
    rf'\{{"hitl_audit_export":1,"organization_id":"({UUID})","first_seal":({NUMBER}),"first_position":({NUMBER}),'
    rf'"previous":(?:null|"({COMPACT})")\}}'
)
EVENT_START = re.compile(rf'\{{"position":({NUMBER}),"record":(?=\{{)')
SEAL_LINE = re.compile(rf'\{{"seal":"({COMPACT})","leaves":"([A-Za-z0-9+/]*={{0,2}})"\}}')
END_LINE = re.compile(rf'\{{"end":"({COMPACT})"\}}')
HASH = re.compile(r"[0-9a-f]{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


class NotChecked(Exception):
    """The files cannot be read, so there is no verdict."""


class Malformed(Exception):
    pass


def not_json(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def number(text: str) -> int | float:
    """1.0 and 1e0 are the number 1, as everywhere in JSON."""
    value = float(text)
    return int(value) if value.is_integer() else value


DECODER = json.JSONDecoder(parse_constant=not_json, parse_float=number)


def parse_object(text: str, start: int = 0) -> tuple[dict[str, Any], int]:
    """The JSON object that begins here, and where it ends."""
    try:
        value, end = DECODER.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise Malformed("not JSON") from error
    if not isinstance(value, dict):
        raise Malformed("not a JSON object")
    return value, end


def parse_whole_object(data: bytes) -> dict[str, Any]:
    try:
        value = DECODER.decode(data.decode())
    except (ValueError, RecursionError) as error:
        raise Malformed("not JSON") from error
    demand(isinstance(value, dict), "not a JSON object")
    return value


def from_base64url(text: str) -> bytes:
    """Without padding, and only in the one spelling that encoding gives."""
    try:
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise Malformed("not base64url") from error
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != text:
        raise Malformed("not the one spelling in base64url")
    return decoded


def from_base64(text: str) -> bytes:
    try:
        decoded = base64.b64decode(text)
    except binascii.Error as error:
        raise Malformed("not base64") from error
    demand(base64.b64encode(decoded).decode() == text, "not the one spelling in base64")
    return decoded


# --- Claims

def is_integer(value: Any, least: int) -> bool:
    return type(value) is int and least <= value <= LARGEST_NUMBER


def is_hash(value: Any) -> bool:
    return isinstance(value, str) and HASH.fullmatch(value) is not None


def time_of(value: Any) -> datetime:
    if not isinstance(value, str) or TIME.fullmatch(value) is None:
        raise Malformed("not a time")
    try:
        return datetime.fromisoformat(value[:-1]).replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise Malformed("not a time") from error


def is_uuid(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(UUID, value) is not None


def demand(condition: bool, what: str) -> None:
    if not condition:
        raise Malformed(what)


# --- Signatures

@dataclass(frozen=True)
class Key:
    public: bytes
    retired_at: datetime | None
    is_revoked: bool


def read_keys(text: str) -> dict[str, Key]:
    """Those that sign the audit, by `kid`. Any other key is as good as absent."""
    try:
        keys = {key["kid"]: read_key(key) for key in json.loads(text)["keys"] if is_of_audit(key)}
    except (ValueError, TypeError, KeyError, AttributeError, Malformed) as error:
        raise NotChecked(f"not a key set: {error}") from error
    if not keys:
        raise NotChecked("the key set has no key of the audit")
    return keys


def is_of_audit(key: dict[str, Any]) -> bool:
    kind = (key.get("kty"), key.get("crv"), key.get("purpose"))
    return kind == ("OKP", "Ed25519", "audit_head") and isinstance(key.get("kid"), str)


def read_key(key: dict[str, Any]) -> Key:
    public = from_base64url(key["x"])
    demand(len(public) == 32, "not a public key")
    retired_at = key.get("retired_at")
    return Key(public, None if retired_at is None else time_of(retired_at), key.get("revoked_at") is not None)


@dataclass(frozen=True)
class Jws:
    text: str
    kid: str
    claims: dict[str, Any]
    signature: bytes

    @property
    def sha256(self) -> str:
        return sha256(self.text.encode()).hexdigest()


def parse_jws(text: str, typ: str) -> Jws:
    demand(re.fullmatch(COMPACT, text) is not None, "not a compact JWS")
    first, second, third = map(from_base64url, text.split("."))
    header, claims = parse_whole_object(first), parse_whole_object(second)
    demand(header.get("alg") == "EdDSA" and header.get("typ") == typ and "crit" not in header, "another header")
    demand(isinstance(header.get("kid"), str), "no kid")
    demand(len(third) == 64, "the signature does not have 64 bytes")
    return Jws(text, header["kid"], claims, third)


def standing(jws: Jws, at: datetime, keys: dict[str, Key]) -> str:
    """`valid`, `forged`, `unknown_key` or `revoked_key`."""
    key = keys.get(jws.kid)
    if key is None:
        return "unknown_key"
    if key.retired_at is not None and at > key.retired_at + STILL_SIGNS_AFTER_RETIREMENT:
        return "forged"
    if not is_signed(key.public, jws.text.rpartition(".")[0].encode(), jws.signature):
        return "forged"
    return "revoked_key" if key.is_revoked else "valid"


@dataclass(frozen=True)
class Head:
    jws: Jws
    organization_id: str
    number: int
    first: int
    last: int
    root: str
    link: str
    previous_seal_sha256: str | None
    sealed_at: datetime


def parse_head(text: str) -> Head:
    jws = parse_jws(text, "hitl-audit-head+jws")
    claims = jws.claims
    try:
        organization_id, number, first, last, root, link, previous, sealed_at = (
            claims[name]
            for name in ("organization_id", "number", "first", "last", "root", "link", "previous_seal_sha256", "sealed_at")
        )
    except KeyError as error:
        raise Malformed("a claim is missing") from error
    demand(is_uuid(organization_id), "organization_id")
    demand(is_integer(number, 0) and is_integer(first, 0) and is_integer(last, 0), "numbers")
    demand(is_hash(root) and is_hash(link), "hashes")
    demand(previous is None or is_hash(previous), "previous_seal_sha256")
    return Head(jws, organization_id, number, first, last, root, link, previous, time_of(sealed_at))


@dataclass(frozen=True)
class End:
    jws: Jws
    organization_id: str
    exported_at: datetime
    after: int | None
    purged_up_to: int | None
    first_seal: int
    last_seal: int
    last_position: int
    last_seal_sha256: str | None
    unsealed_erasures: int
    unsealed_purges: int
    misplaced_events: int
    mismatched_columns: int


def parse_end(text: str) -> End:
    jws = parse_jws(text, "hitl-audit-export+jws")
    claims = jws.claims
    try:
        demand(is_uuid(claims["organization_id"]), "organization_id")
        for name in ("after", "purged_up_to"):
            demand(claims[name] is None or is_integer(claims[name], 0), name)
        demand(claims["last_seal_sha256"] is None or is_hash(claims["last_seal_sha256"]), "last_seal_sha256")
        counts = ("unsealed_events", "unsealed_erasures", "unsealed_purges", "misplaced_events", "mismatched_columns")
        for name in ("first_seal", "last_seal", "last_position", *counts):
            demand(is_integer(claims[name], 0), name)
        exported_at = time_of(claims["exported_at"])
        rest = {name: claims[name] for name in End.__dataclass_fields__ if name not in ("jws", "exported_at")}
    except KeyError as error:
        raise Malformed("a claim is missing") from error
    return End(jws=jws, exported_at=exported_at, **rest)


# --- Hashes

def leaf_hash(record: bytes) -> bytes:
    return sha256(b"\x00" + record).digest()


def merkle_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1. An odd node at the end of a level rises to the next one."""
    level = leaves
    while len(level) > 1:
        pairs = [sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


# --- Records

RECORD_END = ',"v":1}'


def to_bytes(text: str) -> bytes:
    """The bytes of a part of a line, whatever they are."""
    return text.encode("utf-8", "surrogateescape")


def last_member(record: str, name: str, length: int) -> str | None:
    """The text of the last member of this name, which has this length; None when it is no text."""
    _, found, value = record.rpartition(f'"{name}":')
    return value[1 : 1 + length] if found and value.startswith('"') else None


# --- The file

@dataclass
class Verification:
    keys: dict[str, Key]
    findings: list[dict[str, Any]] = field(default_factory=list)
    line: int = 0
    position: int = 1
    number: int = 1
    link: bytes = bytes(32)
    last_head: Jws | None = None
    organization_id: str = ""
    first_seal: int = 1
    first_position: int = 1
    batch: list[bytes] = field(default_factory=list)
    # Number and text of each seal in the file, `previous` included.
    heads: dict[int, str] = field(default_factory=dict)
    # Seals under leaked keys that nothing has vouched for so far: number and line.
    unvouched: list[tuple[int, int]] = field(default_factory=list)
    # Events without their erasable part that no later event explains so far: line and position by id.
    missing_parts: dict[str, tuple[int, int]] = field(default_factory=dict)
    purges: set[tuple[Any, Any]] = field(default_factory=set)
    end: End | None = None
    end_standing: str = "missing"

    def find(self, code: str, detail: str, line: int | None = None, position: int | None = None) -> None:
        self.findings.append(
            {"code": code, "line": self.line if line is None else line, "position": position, "detail": detail}
        )

    def verify(self, lines: Iterator[bytes], outside: list[str]) -> None:
        for raw in lines:
            self.line += 1
            if self.end_standing != "missing":
                self.find("end.not_last", "bytes follow the end")
                break
            self.verify_line(raw)
        if self.line == 0:
            self.find("header.malformed", "the file is empty")
        if self.end_standing == "missing":
            self.find("end.missing", "the file ends before its signed end")
        self.verify_outside(outside)
        self.verify_what_end_says()
        for number, line in self.unvouched:
            self.find("seal.revoked_key", f"seal {number} is signed with a leaked key", line)

    def verify_line(self, raw: bytes) -> None:
        kind = "header" if self.line == 1 else "line"
        try:
            demand(raw.endswith(b"\n"), "the line does not end")
            demand(len(raw) <= LONGEST_LINE, "the line is too long")
            text = raw[:-1].decode("utf-8", "surrogateescape")
            if self.line == 1:
                self.verify_header(text)
                return
            for start, kind, verify in (
                ('{"position":', "event", self.verify_event),
                ('{"seal":', "seal", self.verify_seal),
                ('{"end":', "end", self.verify_end),
            ):
                if text.startswith(start):
                    return verify(text)
            raise Malformed("no line of an export")
        except Malformed as error:
            self.find(f"{kind}.malformed", str(error))

    # 1. Header

    def verify_header(self, text: str) -> None:
        match = HEADER_LINE.fullmatch(text)
        if match is None:
            raise Malformed("not the form of a first line")
        self.organization_id, first_seal, first_position, previous = match.groups()
        self.first_seal = self.number = int(first_seal)
        self.first_position = self.position = int(first_position)
        if previous is None:
            demand((self.first_seal, self.first_position) == (1, 1), "a file without `previous` begins with seal 1")
            return
        head = parse_head(previous)
        if head.organization_id != self.organization_id:
            self.find("header.malformed", "`previous` is of another organization")
        if (head.number, head.last) != (self.first_seal - 1, self.first_position - 1):
            self.find("header.malformed", "`previous` is not the head before the first seal")
        self.accept_head(head)

    # 2. Events

    def verify_event(self, text: str) -> None:
        match = EVENT_START.match(text)
        if match is None:
            raise Malformed("not the form of an event")
        position = int(match[1])
        demand(text.endswith("}"), "not the form of an event")
        written, erasable = text[match.end() : -1], None
        before, found, part = written.rpartition(',"erasable":{')
        if found and before.endswith(RECORD_END):
            written, erasable = before, "{" + part
        demand(written.endswith(RECORD_END), "the record does not end with its version")
        try:
            record = parse_whole_object(written.encode())
        except Malformed:
            # The seal says whether the service wrote it.
            record = {}

        if position != self.position:
            self.find("position.wrong", f"{self.position} was expected", position=position)
        self.position += 1
        hashed = to_bytes(written)
        self.batch.append(leaf_hash(hashed))
        self.link = sha256(self.link + hashed).digest()
        if last_member(written, "organization_id", 36) != self.organization_id:
            self.find("event.foreign", "another organization's record", position=position)
        self.verify_erasable(record.get("id"), last_member(written, "erasable_sha256", 64), erasable, position)
        kind, after = record.get("kind"), record.get("after")
        if kind == "audit.erased" and isinstance(after, dict) and isinstance(after.get("events"), list):
            for id in after["events"]:
                if isinstance(id, str):
                    self.missing_parts.pop(id, None)
        if kind == "audit.purged" and isinstance(after, dict):
            if is_integer(after.get("up_to_seal"), 1) and is_integer(after.get("up_to_position"), 1):
                self.purges.add((after["up_to_seal"], after["up_to_position"]))

    def verify_erasable(self, id: Any, expected: str | None, erasable: str | None, position: int) -> None:
        if erasable is None and expected is not None:
            self.missing_parts[str(id)] = (self.line, position)
        elif erasable is not None and expected is None:
            self.find("erasable.inserted", "the record has no erasable part", position=position)
        elif erasable is not None and sha256(to_bytes(erasable)).hexdigest() != expected:
            self.find("erasable.edited", "its hash is another one", position=position)

    # 3. Seals

    def verify_seal(self, text: str) -> None:
        computed, self.batch = self.batch, []
        match = SEAL_LINE.fullmatch(text)
        if match is None:
            raise Malformed("not the form of a seal")
        head, leaves = parse_head(match[1]), from_base64(match[2])
        stated = [leaves[i : i + 32] for i in range(0, len(leaves), 32)]
        size = head.last - head.first + 1
        demand(size > 0 and len(leaves) == size * 32, "not a leaf hash for each event")
        if head.organization_id != self.organization_id:
            self.find("seal.foreign", "another organization's seal")
        if head.number != self.number:
            self.find("seal.number", f"seal {self.number} was expected")
        if head.first != self.position - len(computed):
            self.find("seal.positions", "it does not begin where the one before ended")
        if merkle_root(stated).hex() != head.root:
            self.find("seal.edited", "the leaf hashes do not give the root")
        if len(computed) != size:
            self.find("event.missing" if len(computed) < size else "event.added", "not as many events as were sealed")
        for i, (ours, theirs) in enumerate(zip(computed, stated)):
            if ours != theirs:
                self.find("event.edited", "not what was sealed", position=head.first + i)
        if self.link.hex() != head.link:
            self.find("chain.broken", "the link is another one")
        if head.previous_seal_sha256 != (None if self.last_head is None else self.last_head.sha256):
            self.find("chain.broken", "the seal before is another one")
        self.accept_head(head)

    def accept_head(self, head: Head) -> None:
        """Checks its signature and goes on behind it."""
        judged = standing(head.jws, head.sealed_at, self.keys)
        if judged in ("forged", "unknown_key"):
            self.find(f"seal.{judged}", f"seal {head.number}")
        elif judged == "revoked_key":
            self.unvouched.append((head.number, self.line))
        else:
            self.unvouched.clear()
        self.heads[head.number] = head.jws.text
        self.last_head = head.jws
        self.number, self.position = head.number + 1, head.last + 1
        self.link = bytes.fromhex(head.link)

    # 4. End

    def verify_end(self, text: str) -> None:
        self.end_standing = "forged"
        if self.batch:
            self.find("event.unsealed", "events follow the last seal")
        match = END_LINE.fullmatch(text)
        if match is None:
            raise Malformed("not the form of an end")
        end = parse_end(match[1])
        self.end_standing = standing(end.jws, end.exported_at, self.keys)
        if self.end_standing == "forged":
            self.find("end.forged", "no key of the service has signed it")
            return
        if self.end_standing == "unknown_key":
            self.find("end.unknown_key", "its key is not in the key set")
        self.end = end
        says = (end.organization_id, end.first_seal, end.last_seal, end.last_position, end.last_seal_sha256)
        last_sha256 = None if self.last_head is None else self.last_head.sha256
        if says != (self.organization_id, self.first_seal, self.number - 1, self.position - 1, last_sha256):
            self.find("end.contradicts", "it says that the file holds something else")

    # 5. What the end says

    def verify_what_end_says(self) -> None:
        end = self.end
        if end is None:
            return
        proven = "unproven" if end.unsealed_erasures > 0 else "missing"
        for line, position in self.missing_parts.values():
            self.find(f"erasable.{proven}", "no later event says that it was erased", line, position)
        if self.first_seal > 1 and end.after != self.first_seal - 1:
            if (self.first_seal - 1, self.first_position - 1) not in self.purges:
                code = "start.unproven" if end.unsealed_purges > 0 else "start.unexplained"
                self.find(code, "nothing says why the file begins here", 1)
        if end.misplaced_events > 0:
            self.find("event.misplaced", "events where no transaction has been")
        if end.mismatched_columns > 0:
            self.find("columns.differ", "columns contradict records")

    # 6. Heads from outside

    def verify_outside(self, outside: list[str]) -> None:
        seen: dict[tuple[str, int], str] = {}
        for line, text in enumerate(outside, 1):
            text = text.strip(BLANKS)
            if text == "":
                continue
            if text.startswith("{") and "}" not in text:
                if not any(later.strip(BLANKS).startswith(text) for later in outside[line:]):
                    self.find("outside.torn", "the line ends early", line)
                continue
            try:
                head = parse_head(self.head_of_outside_line(text))
            except Malformed as error:
                self.find("outside.malformed", str(error), line)
                continue
            judged = standing(head.jws, head.sealed_at, self.keys)
            if judged in ("forged", "unknown_key"):
                self.find("outside.malformed" if judged == "forged" else "outside.unknown_key", f"head {head.number}", line)
                continue
            place = (head.organization_id, head.number)
            if seen.setdefault(place, head.jws.text) != head.jws.text:
                self.find("outside.differs", f"two heads with number {head.number}", line)
            if head.organization_id == self.organization_id:
                self.compare_outside(head, line)
        if self.end_standing == "revoked_key":
            if self.last_head is None or self.last_head.text not in seen.values():
                self.find("end.revoked_key", "the end is signed with a leaked key")

    def head_of_outside_line(self, text: str) -> str:
        if not text.startswith("{"):
            return text
        head = parse_whole_object(text.encode()).get("head")
        demand(isinstance(head, str), "no head")
        return head

    def compare_outside(self, head: Head, line: int) -> None:
        ours = self.heads.get(head.number)
        if ours is not None:
            if ours != head.jws.text:
                self.find("outside.differs", f"seal {head.number} is another one", line)
            else:
                self.unvouched = [seal for seal in self.unvouched if seal[0] > head.number]
        elif head.number >= self.number and (self.end is None or head.sealed_at < self.end.exported_at):
            self.find("outside.cut_off", f"seal {head.number} is not in the file", line)


# --- The command

def read_lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE + 1):
        yield line


def verify(file: str, keys: str, heads: str | None) -> dict[str, Any]:
    try:
        with open(keys, encoding="utf-8") as opened:
            verification = Verification(read_keys(opened.read()))
        outside: list[str] = []
        if heads is not None:
            with open(heads, encoding="utf-8", newline="") as opened:
                outside = opened.read().split("\n")
        with open(file, "rb") as opened:
            verification.verify(read_lines(opened), outside)
    except (OSError, UnicodeDecodeError, NotChecked) as error:
        return {"exit_code": 1, "error": str(error), "findings": []}
    codes = {finding["code"] for finding in verification.findings}
    exit_code = 0 if not codes else 3 if codes <= NOT_PROVEN else 2
    return {"exit_code": exit_code, "findings": verification.findings}


def main() -> int:
    parser = argparse.ArgumentParser(description="Verifies an export of the audit.")
    parser.add_argument("file", nargs="?")
    parser.add_argument("--keys")
    parser.add_argument("--heads")
    parser.add_argument("--many", action="store_true", help="reads jobs from standard input")
    options = parser.parse_args()
    if options.many:
        for line in sys.stdin:
            job = json.loads(line)
            print(json.dumps(verify(job["file"], job["keys"], job.get("heads"))), flush=True)
        return 0
    if options.file is None or options.keys is None:
        parser.error("FILE and --keys are needed")
    result = verify(options.file, options.keys, options.heads)
    print(json.dumps(result, indent=2))
    return result["exit_code"]


if __name__ == "__main__":
    sys.exit(main())

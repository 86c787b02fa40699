"""Many callers at once: whether nothing is lost or mixed up, how fast answers come, and whether memory stays flat.

    python tests/load/load.py --program target/release/sat-mcp [--seconds 20] [--callers 64]

Starts the program over HTTP on a scan folder and a results folder of its own and prints three things:

- first answer: from the start of the program on stdio to its answer to a client's first message;
- steady: `list_anatomy` at 300 calls a second, each sent when it is due, whether earlier ones have been answered or not;
- mixed: 64 callers, each with a connection of its own and one call after the other. Four of them bring new scans to segment all the
  time; the others list, segment scans that are known, measure results and read masks.

Every answer is held against the request that it belongs to. The script fails when an answer is missing or wrong, when an error
other than `busy` comes, and when the server's memory grows: the median of the second half after warming up may exceed that of the
first by a tenth and 32 MiB at most. Times are printed and never judged.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import aiohttp
import nibabel
import numpy

REVISION = "2026-07-28"
RATE = 300
BRINGERS = 4
PATIENCE = 120.0
TARGETS = ["left hippocampus", "right hippocampus", "brainstem", "third ventricle"]
SHAPE = (24, 28, 20)
GROWTH, SLACK = 1.10, 32 << 20


class Wrong(Exception):
    """An answer that doesn't belong to its request, or none."""


class Busy(Exception):
    """The server says that it has enough to do."""


class Peer:
    """A stateless client of 2026-07-28 with one connection."""

    def __init__(self, url: str, times: dict[str, list[float]]):
        self.url, self.times = url, times
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1), timeout=aiohttp.ClientTimeout(total=PATIENCE)
        )
        self.number = 0

    async def close(self) -> None:
        await self.http.close()

    async def ask(self, method: str, params: dict, name: str, kind: str) -> dict:
        self.number += 1
        body = request(self.number, method, params)
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": REVISION,
                   "Mcp-Method": method, "Mcp-Name": name}  # fmt: skip
        began = time.perf_counter()
        async with self.http.post(self.url, json=body, headers=headers) as response:
            text = await response.text()
        self.times[kind].append(time.perf_counter() - began)
        return understood(response.status, response.content_type, text, self.number)

    async def call(self, tool: str, arguments: dict, kind: str) -> dict:
        result = await self.ask("tools/call", {"name": tool, "arguments": arguments}, tool, kind)
        if result.get("isError"):
            error = result["_meta"]["sat-mcp/error"]
            raise Busy if error["code"] == "busy" else Wrong(f"{kind}: {error}")
        return result["structuredContent"]

    async def read(self, uri: str) -> bytes:
        result = await self.ask("resources/read", {"uri": uri}, uri, "resources/read")
        contents = result["contents"][0]
        if contents["uri"] != uri:
            raise Wrong(f"asked for {uri}, got {contents['uri']}")
        return base64.b64decode(contents["blob"])


def request(number: int, method: str, params: dict) -> dict:
    meta = {"io.modelcontextprotocol/protocolVersion": REVISION,
            "io.modelcontextprotocol/clientInfo": {"name": "load", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {}}  # fmt: skip
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": meta}}


def understood(status: int, kind: str, text: str, number: int) -> dict:
    """The result in an answer, which comes as JSON or as the last event of a stream."""
    if status in (429, 503):
        raise Busy
    if kind == "text/event-stream":
        events = re.findall(r"^data: ?(\{.*)$", text, re.MULTILINE)
        if not events:
            raise Wrong(f"an empty stream came, status {status}")
        text = events[-1]
    message = json.loads(text)
    if message.get("id") != number:
        raise Wrong(f"asked as {number}, answered as {message.get('id')}")
    if "result" not in message:
        raise Wrong(f"status {status}: {message.get('error')}")
    return message["result"]


class Scans:
    """Small heads, no two alike."""

    def __init__(self, folder: Path):
        self.folder, self.made = folder, 0
        x, y, z = numpy.meshgrid(*(numpy.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
        self.head = numpy.where(x**2 + y**2 + z**2 < 0.9, 80, 0).astype(numpy.int16)
        self.head[(x - 0.3) ** 2 + y**2 + (z + 0.2) ** 2 < 0.05] = 160

    def another(self) -> str:
        self.made += 1
        voxels = self.head.copy()
        voxels.flat[: self.made % 500 + 1] += self.made
        path = self.folder / f"head-{self.made}.nii"
        nibabel.save(nibabel.Nifti1Image(voxels, numpy.diag([6.0, 6.0, 6.0, 1.0])), path)
        return str(path)


class Known:
    """A result that the server has made: what a later answer about it must say again."""

    def __init__(self, image: str, target: str, answer: dict):
        self.image, self.target = image, target
        self.id = answer["result_id"]
        mask = answer["masks"][0]
        self.file, self.volume = mask["files"][0], mask["measurement"]["volume_ml"]


class Callers:
    """What is asked, and what must come of it."""

    def __init__(self, names: list[str], scans: Scans):
        self.names, self.scans = names, scans
        self.known: list[Known] = []
        self.ids: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def list(self, peer: Peer) -> None:
        name, limit = random.choice(self.names), random.randint(1, 5)
        answer = await peer.call("list_anatomy", {"query": name, "modality": "mri", "limit": limit}, "list_anatomy")
        first = answer["items"][0]
        if first["name"] != name or first["score"] != 1.0 or len(answer["items"]) > limit:
            raise Wrong(f"asked for {name}, got {first['name']}")

    async def fresh(self, peer: Peer) -> None:
        image, target = self.scans.another(), random.choice(TARGETS)
        await self.segment(peer, image, target, "segment, new")

    async def again(self, peer: Peer) -> None:
        known = random.choice(self.known)
        await self.segment(peer, known.image, known.target, "segment, known")

    async def segment(self, peer: Peer, image: str, target: str, kind: str) -> None:
        request = {"image": image, "modality": "mri", "targets": [target], "detail": "full", "preview": False}
        answer = await peer.call("segment", request, kind)
        while answer["status"] == "running":
            answer = await peer.call("segment", request, "segment, joined")
        if not answer["image"]["uri"].endswith(image) or [mask["target"] for mask in answer["masks"]] != [target]:
            raise Wrong(f"asked for {target} in {image}, got {answer['image']['uri']}")
        asked = f"{target} in {image}"
        if self.ids.setdefault(answer["result_id"], asked) != asked:
            raise Wrong(f"{answer['result_id']} answers {asked} and {self.ids[answer['result_id']]}")
        known = Known(image, target, answer)
        same = [one for one in self.known if one.id == known.id]
        if same and (same[0].file["sha256"], same[0].volume) != (known.file["sha256"], known.volume):
            raise Wrong(f"{asked}: another answer than before")
        if not same:
            self.known.append(known)

    async def measure(self, peer: Peer) -> None:
        known = random.choice(self.known)
        answer = await peer.call("measure_volume", {"result_id": known.id}, "measure_volume")
        if [one["volume_ml"] for one in answer["measurements"]] != [known.volume]:
            raise Wrong(f"{known.id} measures otherwise than it was made")

    async def read(self, peer: Peer) -> None:
        file = random.choice(self.known).file
        raw = await peer.read(file["uri"])
        if hashlib.sha256(raw).hexdigest() != file["sha256"]:
            raise Wrong(f"{file['uri']} has other bytes than were promised")

    async def work(self, peer: Peer, kinds: dict, until: float) -> None:
        """One call after the other, of each kind as often as `kinds` says."""
        while time.monotonic() < until:
            [kind] = random.choices(list(kinds), list(kinds.values()))
            try:
                await kind(peer)
                self.counts["answered"] += 1
            except Busy:
                self.counts["busy"] += 1
                await asyncio.sleep(random.uniform(0.2, 1.0))
            except (Wrong, aiohttp.ClientError, TimeoutError, KeyError, ValueError) as error:
                self.wrong.append(f"{kind.__name__}: {type(error).__name__}: {error}")
                self.counts["wrong"] += 1


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def figures(values: list[float]) -> str:
    halves = f"p50 {1e3 * percentile(values, 0.5):8.1f} ms   p99 {1e3 * percentile(values, 0.99):8.1f} ms"
    return f"{len(values):7d} calls   {halves}   max {1e3 * max(values):8.1f} ms"


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024


def first_answer(command: list[str], environment: dict[str, str]) -> float:
    """Seconds from the start of the program to its first answer on stdio."""
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as server:  # fmt: skip
        server.stdin.write(json.dumps(request(1, "server/discover", {})) + "\n")
        server.stdin.flush()
        answer = json.loads(server.stdout.readline())
        seconds = time.perf_counter() - began
        server.stdin.close()
    if "result" not in answer:
        raise Wrong(f"first answer: {answer}")
    return seconds


async def steady(callers: Callers, url: str, seconds: float) -> list[float]:
    """Calls at a fixed rate; each counts from when it was due."""
    times: dict[str, list[float]] = defaultdict(list)
    idle = [Peer(url, times) for _ in range(16)]
    free: asyncio.Queue[Peer] = asyncio.Queue()
    for peer in idle:
        await callers.list(peer)  # a connection that stands
        free.put_nowait(peer)
    waits: list[float] = []

    async def one(due: float) -> None:
        peer = await free.get()
        try:
            await callers.list(peer)
            waits.append(time.perf_counter() - due)
        except (Wrong, Busy, aiohttp.ClientError, TimeoutError) as error:
            callers.wrong.append(f"steady: {type(error).__name__}: {error}")
        finally:
            free.put_nowait(peer)

    began, calls = time.perf_counter(), []
    for number in range(int(RATE * seconds)):
        due = began + number / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        calls.append(asyncio.create_task(one(due)))
    await asyncio.gather(*calls)
    for peer in idle:
        await peer.close()
    return waits


async def mixed(callers: Callers, url: str, pid: int, count: int, seconds: float):
    times: dict[str, list[float]] = defaultdict(list)
    peers = [Peer(url, times) for _ in range(count)]
    memory: list[int] = []
    until = time.monotonic() + seconds

    async def watch() -> None:
        while time.monotonic() < until:
            memory.append(resident(pid))
            await asyncio.sleep(min(1.0, seconds / 40))

    mix = {callers.list: 50, callers.read: 20, callers.measure: 15, callers.again: 15}
    work = [callers.work(peer, {callers.fresh: 1} if number < BRINGERS else mix, until) for number, peer in enumerate(peers)]
    # What is under way when the time is up is waited for: none may stay without an answer.
    await asyncio.wait_for(asyncio.gather(watch(), *work), seconds + 2 * PATIENCE)
    for peer in peers:
        await peer.close()
    return times, memory


async def catalogue(url: str) -> list[str]:
    peer = Peer(url, defaultdict(list))
    result = await peer.ask("resources/read", {"uri": "sat://anatomy/mri"}, "sat://anatomy/mri", "catalogue")
    await peer.close()
    return [item["name"] for item in json.loads(result["contents"][0]["text"])["items"]]


async def under_load(url: str, pid: int, scans: Scans, options) -> bool:
    callers = Callers(await catalogue(url), scans)
    peer = Peer(url, defaultdict(list))
    for _ in range(4):
        await callers.fresh(peer)
    await peer.close()

    waits = await steady(callers, url, min(10.0, options.seconds / 2))
    print(f"steady   list_anatomy at {RATE}/s {figures(waits)}", flush=True)

    cpu = time.process_time()
    times, memory = await mixed(callers, url, pid, options.callers, options.seconds)
    share = (time.process_time() - cpu) / options.seconds
    total = sum(map(len, times.values()))
    print(f"mixed    {options.callers} callers, {options.seconds:.0f} s: {total / options.seconds:.0f} calls/s, "
          f"{dict(callers.counts)}; this script took {share:.0%} of a core")  # fmt: skip
    for kind in sorted(times):
        print(f"         {kind:15} {figures(times[kind])}")
    warm = memory[len(memory) // 5 :]
    first, second = warm[: len(warm) // 2], warm[len(warm) // 2 :]
    before, after = statistics.median(first), statistics.median(second)
    steps = ", ".join(f"{value >> 20}" for value in memory[:: max(1, len(memory) // 10)])
    print(f"memory   MiB over time: {steps}; median of the first half {before / 2**20:.0f}, of the second {after / 2**20:.0f}")
    flat = after <= GROWTH * before + SLACK
    for line in callers.wrong[:20]:
        print(f"wrong    {line}")
    if not flat:
        print(f"wrong    memory grew by {(after - before) / 2**20:.0f} MiB")
    return flat and not callers.wrong and callers.counts["answered"] > 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--callers", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "scans").mkdir()
        environment = {**os.environ, "SAT_MCP_RESULTS": str(place / "results"), "SAT_MCP_LOG": "warn,sat_mcp::serve::http=info"}
        serve = [options.program, "serve", "--data-root", str(place / "scans")]

        starts = [first_answer(serve, environment) for _ in range(10)]
        print(f"first    answer on stdio {1e3 * statistics.median(starts):.0f} ms after start, "
              f"{1e3 * max(starts):.0f} ms at most of {len(starts)}", flush=True)  # fmt: skip

        log = open(place / "log", "w+")
        server = subprocess.Popen([*serve, "--http", "127.0.0.1:0"], env=environment, stderr=log)
        try:
            url = address(place / "log", server)
            fine = asyncio.run(under_load(url, server.pid, Scans(place / "scans"), options))
        finally:
            server.terminate()
            code = server.wait(60)
        if code != 0:
            print(f"wrong    the server ended with {code}:\n{(place / 'log').read_text()[-2000:]}")
        return 0 if fine and code == 0 else 1


def address(log: Path, server: subprocess.Popen) -> str:
    while server.poll() is None:
        if found := re.search(r"listening on (http://\S+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise SystemExit(f"the server did not start:\n{log.read_text()}")


if __name__ == "__main__":
    sys.exit(main())

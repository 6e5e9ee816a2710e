"""Publish and handle in an asyncio program: a thousand greetings, fifty at a time.

python asyncio_worker.py DATA
"""

import asyncio
import sys

import attrs

import perdure


@perdure.message(name="greetings.Greet")
@attrs.frozen
class Greet:
    """A person to greet."""

    name: str


async def main(folder: str, count: int = 1000) -> int:
    """Greet all; return how many messages were completed."""
    system = perdure.System(folder)

    @system.handler(Greet, parallelism=50, timeout=10.0)
    async def greet(message: Greet) -> str:
        await asyncio.sleep(0.001)  # in place of a call over the network
        return f"hello, {message.name}"

    async with system:
        futures = [await system.asubmit(Greet(str(n))) for n in range(count)]
        await asyncio.gather(*futures)
        await system.adrain(timeout=60.0)
        print(await system.acall(Greet("world"), timeout=10.0))
        return system.admin.metrics().completed


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1])))

# SPDX-License-Identifier: Apache-2.0
"""tools/sync_client.py: what it makes of a coroutine, and that it sees a _sync.py of somebody else's."""
import unittest

from planted import PlantedCase

import sync_client

ASYNC = '''# SPDX-License-Identifier: Apache-2.0
# about
import asyncio


class AsyncThing:
    """Not (closed."""

    async def ask(self, one: int,
                  two: int) -> AsyncThing:
        await asyncio.sleep(1)
        async for line in self.aiter_lines():
            await self.send(line,
                            [one,
                             two])
        return (await self.ask(1, f(2))).thing

    # async only
    def __await__(self):
        yield

    # end
    # sync only
    # @property
    # end
    async def __aenter__(self):
        pass
'''
SYNC = sync_client.HEAD + '''import asyncio


class Thing:
    """Not (closed."""

    def ask(self, one: int,
            two: int) -> Thing:
        time.sleep(1)
        for line in self.iter_lines():
            self.send(line,
                      [one,
                       two])
        return self.ask(1, f(2)).thing

    @property
    def __enter__(self):
        pass
'''


class SyncClientTest(PlantedCase):
    def test_a_coroutine_becomes_a_function(self):
        self.assertEqual(sync_client.sync_of(ASYNC), SYNC)

    def test_check(self):
        folder = str(sync_client.FOLDER)
        self.assert_fails(sync_client.check, {f"{folder}/_async.py": ASYNC, f"{folder}/_sync.py": SYNC + "x\n"},
                          naming="_sync.py")
        self.assertEqual(self.complaints(sync_client.check, {f"{folder}/_async.py": ASYNC, f"{folder}/_sync.py": SYNC}),
                         "")


if __name__ == "__main__":
    unittest.main()

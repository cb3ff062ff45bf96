"""Work spread over threads whose results come back in order, with a bounded number under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[Item], Result],
    items: Iterable[Item],
    ahead: int,
    share: Callable[[Item], float] = lambda item: 1.0,
) -> Generator[Result, None, None]:
    """work(item) for each item, in the items' order, `ahead` of them started before the first is asked for.

    share   of the memory of a full item, above 0: of small ones more are started
    Memory is that of `ahead` + 1 full items and their results. An exception of `work` or of `items` is raised where
    its result would have come; nothing that was started is left running then.
    """
    running: deque[Future[Result]] = deque()
    shares: deque[float] = deque()
    source = iter(items)
    error: BaseException | None = None
    try:
        while error is None:
            try:
                # In a context of its own: what traces the calling thread knows whose work it is.
                item = next(source)
                running.append(pool.submit(copy_context().run, work, item))
                shares.append(share(item))
                del item
            except StopIteration:
                break
            except Exception as problem:
                error = problem
            while sum(shares) >= ahead + 1:
                shares.popleft()
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
        if error is not None:
            raise error
    finally:
        for future in running:
            future.cancel()
        for future in running:
            if not future.cancelled():
                future.exception()
        if isinstance(source, Generator):
            source.close()

"""Row groups on their way from BLOBs to filtered batches: one thread reads, others decode and filter."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from colonnade.store.chunk import ChunkReader
from colonnade.store.groupscan import GroupSource, GroupsSource, RowFilter, Selection
from colonnade.store.pager import Blob, RowGroupInfo
from colonnade.store.values import RowBatch

_PATIENCE_S = 0.04  # between two calls of `checkpoint` while workers are at work

Read = Callable[[RowGroupInfo, Sequence[int]], Mapping[int, Blob | ChunkReader]]


@dataclass(frozen=True, slots=True)
class Job:
    """Row groups to be read into one batch.

    groups  one, or several that follow each other, whose chunks are at hand
    bitmap  the tombstones of a lone one
    rowids  the batch shall have them
    """

    groups: Sequence[RowGroupInfo]
    bitmap: bytes | bytearray | None
    rowids: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of every row group.

    column_ids    of the batches
    filters       what its rows must pass
    rowid_column  the column whose chunk has the rowids
    """

    column_ids: Sequence[int]
    filters: Sequence[RowFilter]
    rowid_column: int

    def filtered(self) -> list[int]:
        """The columns whose chunks the filters need."""
        ids = dict.fromkeys(i or self.rowid_column for each in self.filters for i in each.column_ids)
        return list(ids)

    def others(self, *, rowids: bool) -> list[int]:
        """Those that only the batch needs."""
        wanted = dict.fromkeys(self.column_ids)
        if rowids:
            wanted[self.rowid_column] = None
        known = set(self.filtered())
        return [column_id for column_id in wanted if column_id not in known]


class _Task:
    """One job: its filters run in a first step, unless there are none, its batch is made in the last."""

    def __init__(self, job: Job, wish: Wish) -> None:
        self.job, self._wish = job, wish
        self.sources = [GroupSource(group, wish.rowid_column) for group in job.groups]
        self.step: Future[None] | None = None
        self._selection: Selection | None = None
        self.batch: RowBatch | None = None
        self.unread = wish.others(rowids=job.rowids)  # columns whose chunks nobody has asked for yet
        self.first = wish.filtered()
        if not self.first or len(self.sources) > 1:
            self.first, self.unread = [*self.first, *self.unread], []

    def run(self) -> None:
        """The next step."""
        if self._selection is None:
            source = self.sources[0] if len(self.sources) == 1 else GroupsSource(self.sources)
            self._selection = Selection(source, self.job.bitmap)
            self._selection.filter(self._wish.filters)
            if not self._selection.count:
                self.unread = []
        if self._selection.count and not self.unread:
            self.batch = self._selection.batch(self._wish.column_ids, rowids=self.job.rowids)

    def rest(self) -> list[int]:
        """The columns to read after a step; none if there is no further step."""
        rest, self.unread = self.unread, []
        return rest


class Pipeline:
    """Gives for each job its batch, or None if no row passes, in the order of the jobs.

    read   gives chunks by column id; called on the thread that iterates, as `checkpoint` and `done` are
    done   gets each row group that was read, with what was opened of it
    ahead  jobs that may be in hand at once
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        wish: Wish,
        read: Read,
        done: Callable[[GroupSource], None],
        checkpoint: Callable[[], None],
        *,
        threads: int,
        ahead: int,
    ) -> None:
        self._jobs, self._wish = iter(jobs), wish
        self._read, self._done, self._checkpoint = read, done, checkpoint
        several = threads > 1 and len(jobs) > 1
        self._pool = ThreadPoolExecutor(threads, "colonnade-scan") if several else None
        self._ahead = ahead if several else 1
        self._tasks: deque[_Task] = deque()
        self._no_more = False

    def close(self) -> None:
        """Ends its threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._tasks.clear()

    def __iter__(self) -> Iterator[RowBatch | None]:
        return self

    def __next__(self) -> RowBatch | None:
        while True:
            self._go_on()
            if not self._tasks:
                raise StopIteration
            head = self._tasks[0]
            if head.step is None:
                self._tasks.popleft()
                for source in head.sources:
                    self._done(source)
                return head.batch
            steps = [task.step for task in self._tasks if task.step is not None and not task.step.done()]
            wait(steps, _PATIENCE_S, FIRST_COMPLETED)
            self._checkpoint()

    def _go_on(self) -> None:
        """Begins all steps that can be begun, until the first task is done."""
        while True:
            for task in self._tasks:
                if task.step is not None and task.step.done():
                    self._after_step(task)
                    if task is self._tasks[0] and task.step is None:
                        return
            if self._no_more or len(self._tasks) >= self._ahead:
                return
            if self._tasks and self._tasks[0].step is None:
                return
            job = next(self._jobs, None)
            if job is None:
                self._no_more = True
                return
            self._checkpoint()
            task = _Task(job, self._wish)
            self._tasks.append(task)
            self._begin(task, task.first)

    def _after_step(self, task: _Task) -> None:
        """Begins the next step of a task whose last one has ended; raises what that raised, once its turn comes."""
        assert task.step is not None
        if task is not self._tasks[0] and task.step.exception() is not None:
            self._no_more = True
            return
        task.step.result()
        task.step = None
        rest = task.rest()
        if rest:
            self._begin(task, rest)

    def _begin(self, task: _Task, column_ids: Sequence[int]) -> None:
        for source in task.sources:
            source.give(self._read(source.group, column_ids))
        if self._pool is not None:
            task.step = self._pool.submit(task.run)
            return
        task.run()
        rest = task.rest()
        if rest:
            self._begin(task, rest)

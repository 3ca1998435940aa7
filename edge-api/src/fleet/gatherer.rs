//! Group commit: what is handed in while a transaction runs is written by the next one, all of it together, so that many
//! share its wait for the disk. The method is of "Implementation Techniques for Main Memory
//! Database Systems" (SIGMOD 1984).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// Written together at most: what a transaction holds locked, and for how long, stays bounded.
const GROUP_MAX: usize = 512;
/// After so many that could not be written alone either, the fault is not theirs.
const FAILED_ALONE_MAX: u32 = 3;

/// What waits for its transaction, and whether one runs.
#[derive(Debug)]
pub struct Gatherer<I, O> {
    state: Mutex<State<I, O>>,
}

#[derive(Debug)]
struct State<I, O> {
    waiting: VecDeque<Waiting<I, O>>,
    is_writing: bool,
}

#[derive(Debug)]
struct Waiting<I, O> {
    item: I,
    answer: oneshot::Sender<anyhow::Result<O>>,
}

impl<I, O> Default for Gatherer<I, O> {
    fn default() -> Self {
        Self { state: Mutex::new(State { waiting: VecDeque::new(), is_writing: false }) }
    }
}

impl<I, O> Gatherer<I, O> {
    fn lock(&self) -> MutexGuard<'_, State<I, O>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item in the queue. With it comes the writing, where nobody writes.
    fn push(self: &Arc<Self>, item: I) -> (oneshot::Receiver<anyhow::Result<O>>, Option<Writing<I, O>>) {
        let (answer, answered) = oneshot::channel();
        let mut state = self.lock();
        state.waiting.push_back(Waiting { item, answer });
        let begins = !std::mem::replace(&mut state.is_writing, true);
        (answered, begins.then(|| Writing { gatherer: Arc::clone(self), is_over: false }))
    }
}

/// Whoever writes, of whom there is one at a time. Where it ends before its time, whoever waits hears of that, and the next
/// one begins anew.
struct Writing<I, O> {
    gatherer: Arc<Gatherer<I, O>>,
    /// Nothing waited: another may write by now.
    is_over: bool,
}

impl<I, O> Writing<I, O> {
    /// The next group. None waits: whoever hands something in from here on begins to write.
    fn next_group(&mut self) -> Option<Vec<Waiting<I, O>>> {
        let mut state = self.gatherer.lock();
        let most = state.waiting.len().min(GROUP_MAX);
        state.is_writing = most > 0;
        self.is_over = most == 0;
        state.is_writing.then(|| state.waiting.drain(..most).collect())
    }
}

impl<I, O> Drop for Writing<I, O> {
    fn drop(&mut self) {
        if !self.is_over {
            let mut state = self.gatherer.lock();
            state.is_writing = false;
            state.waiting.clear();
        }
    }
}

impl<I, O> Gatherer<I, O>
where
    I: Send + Sync + Clone + 'static,
    O: Send + 'static,
{
    /// Hands an item in and waits for what became of it. `write` writes a group in one transaction, and says what became of
    /// each of its items, in their order; where it fails, each is written alone, so that one that cannot be written
    /// costs the others nothing. `context` is what it writes with.
    pub async fn hand_in<C, F>(
        self: &Arc<Self>,
        tasks: &TaskTracker,
        item: I,
        context: &C,
        write: impl Fn(C, Arc<[I]>) -> F + Send + Sync + 'static,
    ) -> anyhow::Result<O>
    where
        C: Clone + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<Vec<O>>> + Send,
    {
        let (answered, begins) = self.push(item);
        if let Some(mut writing) = begins {
            let context = context.clone();
            tasks.spawn(async move {
                while let Some(group) = writing.next_group() {
                    write_group(group, &|items| write(context.clone(), items)).await;
                }
            });
        }
        answered.await.map_err(|_dropped| anyhow::anyhow!("a transaction ended before its time"))?
    }
}

async fn write_group<I, O, F>(group: Vec<Waiting<I, O>>, write: &impl Fn(Arc<[I]>) -> F)
where
    I: Clone,
    F: Future<Output = anyhow::Result<Vec<O>>>,
{
    let items: Arc<[I]> = group.iter().map(|waiting| waiting.item.clone()).collect();
    let error = match write(items).await {
        Ok(outcomes) => {
            for (waiting, outcome) in group.into_iter().zip(outcomes) {
                // Whoever asked may be gone with its connection.
                waiting.answer.send(Ok(outcome)).unwrap_or_default();
            }
            return;
        }
        Err(error) => error,
    };
    if group.len() == 1 {
        group.into_iter().for_each(|waiting| drop(waiting.answer.send(Err(anyhow::anyhow!("{error:#}")))));
        return;
    }
    let mut failed = 0;
    for waiting in group {
        if failed >= FAILED_ALONE_MAX {
            drop(waiting.answer.send(Err(anyhow::anyhow!("{error:#}"))));
            continue;
        }
        let outcome = write([waiting.item].into()).await;
        failed = if outcome.is_ok() { 0 } else { failed + 1 };
        let one =
            outcome.and_then(|mut outcomes| outcomes.pop().ok_or_else(|| anyhow::anyhow!("nothing became of it")));
        drop(waiting.answer.send(one));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// Groups that were written, and a permit for each.
    type Context = (Arc<Mutex<Vec<Vec<u32>>>>, Arc<Semaphore>);

    /// Hands in numbers, the first of which holds its transaction until the others wait; the groups that were written.
    async fn written(numbers: Vec<u32>, fails: fn(u32) -> bool) -> (Vec<anyhow::Result<u32>>, Vec<Vec<u32>>) {
        let (gatherer, tasks) = (Arc::new(Gatherer::<u32, u32>::default()), TaskTracker::new());
        let (groups, go) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
        let handed_in = numbers.iter().map(|&number| {
            let (gatherer, tasks, groups, go) =
                (Arc::clone(&gatherer), tasks.clone(), Arc::clone(&groups), Arc::clone(&go));
            async move {
                let write = move |(groups, go): Context, items: Arc<[u32]>| async move {
                    groups.lock().unwrap().push(items.to_vec());
                    go.acquire().await.unwrap().forget();
                    anyhow::ensure!(!items.iter().any(|item| fails(*item)), "it cannot be written");
                    Ok(items.iter().map(|item| item * 10).collect())
                };
                gatherer.hand_in(&tasks, number, &(groups, go), write).await
            }
        });
        let all = futures::future::join_all(handed_in);
        tokio::pin!(all);
        // Everybody has handed in before the first transaction may end.
        assert!(futures::poll!(&mut all).is_pending());
        go.add_permits(1000);
        let outcomes = all.await;
        let groups = groups.lock().unwrap().clone();
        (outcomes, groups)
    }

    #[tokio::test]
    async fn what_is_handed_in_while_a_transaction_runs_is_written_by_the_next_one() {
        let (outcomes, groups) = written((0..5).collect(), |_| false).await;

        let outcomes: Vec<u32> = outcomes.into_iter().map(Result::unwrap).collect();
        assert_eq!(outcomes, [0, 10, 20, 30, 40], "each hears of its own");
        assert!(groups.len() <= 2, "{groups:?}");
        assert_eq!(groups.concat(), [0, 1, 2, 3, 4], "in the order in which they came");
    }

    #[tokio::test]
    async fn one_that_cannot_be_written_costs_the_others_nothing() {
        let (outcomes, _) = written((0..6).collect(), |item| item == 3).await;

        let failed: Vec<usize> = (0..6).filter(|at| outcomes[*at].is_err()).collect();
        assert_eq!(failed, [3]);
        assert!(outcomes[3].as_ref().unwrap_err().to_string().contains("cannot be written"));
    }

    #[tokio::test]
    async fn where_nothing_can_be_written_not_all_of_it_is_tried_alone() {
        let (outcomes, groups) = written((0..100).collect(), |_| true).await;

        assert!(outcomes.iter().all(Result::is_err));
        assert!(groups.len() < 10, "{}", groups.len());
    }

    #[tokio::test]
    async fn a_group_is_no_larger_than_a_transaction_should_be() {
        let (outcomes, groups) = written((0..1200).collect(), |_| false).await;

        assert_eq!(outcomes.len(), 1200);
        assert!(groups.iter().all(|group| group.len() <= GROUP_MAX), "{groups:?}");
    }

    #[test]
    fn a_writer_that_has_ended_takes_nothing_from_the_next_one() {
        let gatherer = Arc::new(Gatherer::<u32, u32>::default());
        let (_first, begun) = gatherer.push(1);
        let mut ended = begun.unwrap();
        assert_eq!(ended.next_group().unwrap().len(), 1);
        assert!(ended.next_group().is_none());

        let (mut waits, begun) = gatherer.push(2);
        let mut next = begun.expect("nobody writes");
        drop(ended);

        assert!(matches!(waits.try_recv(), Err(oneshot::error::TryRecvError::Empty)), "it waits still");
        assert!(gatherer.push(3).1.is_none(), "somebody writes");
        assert_eq!(next.next_group().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_writer_that_panics_leaves_nobody_waiting_and_the_next_one_writes() {
        let (gatherer, tasks) = (Arc::new(Gatherer::<u32, u32>::default()), TaskTracker::new());
        let attempts = Arc::new(AtomicUsize::new(0));
        let write = |attempts: Arc<AtomicUsize>, items: Arc<[u32]>| async move {
            assert!(attempts.fetch_add(1, Ordering::SeqCst) > 0, "the first one panics");
            Ok(items.to_vec())
        };

        let lost = gatherer.hand_in(&tasks, 1, &attempts, write).await;
        let written = gatherer.hand_in(&tasks, 2, &attempts, write).await;

        assert!(lost.is_err());
        assert_eq!(written.unwrap(), 2);
    }
}

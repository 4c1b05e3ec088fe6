//! Who may go on computing: calls that take long move to threads that give way to all others, and take turns there.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use rustix::time::ClockId;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::engine::EPOCH_TICK;

/// After a long call, this many of the same plugin are taken for long ones from the start: otherwise each would first keep
/// a thread that serves everyone for a tick.
const EXPECTED_LONG: u32 = 16;

/// After each tick of computing aside, while others are being answered: processors share memory and caches, so that one
/// who computes without rest slows all others, whatever its priority.
const REST: Duration = EPOCH_TICK.saturating_mul(4);

/// The threads that give way to all others. They only compute: sockets, clocks and new tasks stay with the runtime that a
/// call came from, so that nothing a neighbour uses depends on such a thread.
pub(crate) struct Background {
    /// Taken when it ends.
    runtime: Option<Runtime>,
    turns: Arc<Semaphore>,
    /// By plugin, while a version of it is there.
    of_plugins: Mutex<HashMap<String, Weak<Turns>>>,
    /// Calls that were answered elsewhere, as far as they were counted.
    answered: AtomicU32,
}

impl Background {
    pub(crate) fn start() -> std::io::Result<Arc<Self>> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(processors())
            .thread_name("uuk-long-call")
            .on_thread_start(give_way)
            .build()?;
        let turns = Arc::new(Semaphore::new(processors()));
        let (of_plugins, answered) = (Mutex::default(), AtomicU32::new(0));
        Ok(Arc::new(Self { runtime: Some(runtime), turns, of_plugins, answered }))
    }

    /// The turns of a plugin, the same for all its versions: a new one is taken for what the old one was.
    pub(crate) fn turns(self: &Arc<Self>, plugin: &str) -> Arc<Turns> {
        let mut of_plugins = self.of_plugins.lock().unwrap_or_else(PoisonError::into_inner);
        of_plugins.retain(|_, turns| turns.strong_count() > 0);
        if let Some(turns) = of_plugins.get(plugin).and_then(Weak::upgrade) {
            return turns;
        }
        let turns = Arc::new(Turns::new(self));
        of_plugins.insert(plugin.to_owned(), Arc::downgrade(&turns));
        turns
    }

    fn answered(&self) -> u32 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Runs `work` there. Dropping the future stops it.
    async fn run<F>(&self, work: F) -> Result<F::Output, Lost>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let home = Handle::current();
        let mut work = Box::pin(work.in_current_span());
        let at_home = poll_fn(move |context| {
            let _home = home.enter();
            work.as_mut().poll(context)
        });
        let runtime = self.runtime.as_ref().ok_or(Lost)?;
        AbortOnDropHandle::new(runtime.spawn(at_home)).await.map_err(|_| Lost)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Where waiting is not allowed, too: each of its tasks ends with the call that waits for it.
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Background {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Background")
    }
}

/// The present thread runs while a processor has nothing else to do, and loses it at once.
fn give_way() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    // Where it is not allowed, long calls are as urgent as others, and still take turns.
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
}

/// Processors for long calls: one is always left to the others.
fn processors() -> usize {
    available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1)
}

/// The turns of one plugin's long calls. Plugins take turns with each other: one with a hundred such calls gets no more
/// than one with a single one.
#[derive(Debug)]
pub(crate) struct Turns {
    background: Arc<Background>,
    own: Arc<Semaphore>,
    /// How many calls more are taken for long ones from the start, because one was long lately.
    expected_long: AtomicU32,
}

impl Turns {
    fn new(background: &Arc<Background>) -> Self {
        let own = Arc::new(Semaphore::new(processors()));
        Self { background: Arc::clone(background), own, expected_long: AtomicU32::new(0) }
    }

    /// A call ended that was no long one.
    fn learn_short(&self) {
        let fewer = |left: u32| left.checked_sub(1);
        let _ = self.expected_long.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        self.background.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// The pace of one call: where it runs, what it has computed so far, and its turn while it has one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Before `since`.
    computed: Duration,
    /// Where it runs, and since when on that clock.
    since: Option<Since>,
    /// Where it wants to go on.
    wants_aside: bool,
    is_long: bool,
    turn: Option<Turn>,
    /// The clock of the thread when a tick passed while it was there.
    ticked_at: Option<Duration>,
}

/// One tick of computing aside, and the rest after it.
#[derive(Debug)]
struct Turn {
    /// What was answered elsewhere when it began.
    answered: u32,
    _permits: [OwnedSemaphorePermit; 2],
}

/// When a poll began.
#[derive(Debug, Clone, Copy)]
enum Since {
    /// On a thread that serves everyone.
    Wall(Instant),
    /// On one that gives way and may wait long for a processor, by the time that it has computed itself.
    Thread(Duration),
}

impl Since {
    fn elapsed(self) -> Duration {
        match self {
            Self::Wall(began) => began.elapsed(),
            Self::Thread(began) => thread_time().saturating_sub(began),
        }
    }
}

/// How long the present thread has computed.
fn thread_time() -> Duration {
    rustix::time::clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// The thread of a long call is gone without an answer.
#[derive(Debug)]
pub(crate) struct Lost;

/// How far a call came in one place.
enum Went<F: Future> {
    ToItsEnd(F::Output),
    Away(Pin<Box<F>>),
}

impl Pace {
    /// How long the call has computed: what it waited for, and what others had the processor for once it was a long one,
    /// does not count. Asked by the call itself.
    pub(crate) fn computed(&self) -> Duration {
        let state = self.state();
        state.computed + state.since.map(Since::elapsed).unwrap_or_default()
    }

    /// Before a call enters its guest: moves it aside if calls of its plugin lately were long.
    pub(crate) async fn before_guest(&self, turns: &Arc<Turns>) {
        if turns.expected_long.load(Ordering::Relaxed) > 0 {
            self.clone().take_turn(Arc::clone(turns)).await;
        }
    }

    /// Whether the call has really computed for a tick, and not only had its thread while that waited for a processor.
    /// Asked by the call itself, each tick.
    pub(crate) fn is_computing(&self) -> bool {
        let mut state = self.state();
        match state.since {
            Some(Since::Thread(_)) => return true,
            // The clock of the thread costs a system call; most calls are only met by the tick on their way.
            Some(Since::Wall(began)) if began.elapsed() < EPOCH_TICK / 2 => return false,
            Some(Since::Wall(_)) | None => {}
        }
        let now = thread_time();
        let before = state.ticked_at.replace(now);
        before.is_some_and(|before| now.saturating_sub(before) >= EPOCH_TICK / 2)
    }

    /// After the guest: what is left to do takes locks that all instances share, and who holds them should not have to
    /// wait for a processor.
    pub(crate) async fn come_back(&self) {
        self.move_aside(false).await;
    }

    /// Ends the present turn, lets others run, and waits for the next one. From then on a call is a long one.
    pub(crate) fn next_turn(&self, turns: &Arc<Turns>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        turns.expected_long.store(EXPECTED_LONG, Ordering::Relaxed);
        let mut state = self.state();
        state.is_long = true;
        let ended = state.turn.take();
        drop(state);
        let (pace, turns) = (self.clone(), Arc::clone(turns));
        Box::pin(async move {
            // The turn lasts through the rest: nobody else computes in the meantime.
            if ended.as_ref().is_some_and(|turn| turn.answered != turns.background.answered()) {
                tokio::time::sleep(REST).await;
            }
            drop(ended);
            tokio::task::yield_now().await;
            pace.take_turn(turns).await;
        })
    }

    async fn take_turn(self, turns: Arc<Turns>) {
        self.move_aside(true).await;
        // Neither is ever closed.
        let Ok(own) = Arc::clone(&turns.own).acquire_owned().await else { return };
        let Ok(all) = Arc::clone(&turns.background.turns).acquire_owned().await else { return };
        self.state().turn = Some(Turn { answered: turns.background.answered(), _permits: [own, all] });
    }

    /// Runs a call, here or aside as it wants. Whenever it waits, for its turn or a database, its turn ends.
    ///
    /// # Cancellation
    /// Dropping the future stops the call, wherever it runs.
    pub(crate) async fn run<F>(&self, turns: &Turns, call: F) -> Result<F::Output, Lost>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let mut call = Box::pin(call);
        loop {
            let aside = self.state().wants_aside;
            let running = self.clone().run_while(call, aside);
            let went = if aside { turns.background.run(running).await? } else { running.await };
            call = match went {
                Went::ToItsEnd(output) => {
                    if !self.state().is_long {
                        turns.learn_short();
                    }
                    return Ok(output);
                }
                Went::Away(call) => call,
            };
        }
    }

    /// Runs a call to its end, or until it no longer wants to be aside, or to be here.
    async fn run_while<F: Future>(self, call: Pin<Box<F>>, aside: bool) -> Went<F> {
        let mut running = Some(call);
        poll_fn(|context| {
            let Some(call) = &mut running else { return Poll::Pending };
            let since = if aside { Since::Thread(thread_time()) } else { Since::Wall(Instant::now()) };
            self.state().since = Some(since);
            let polled = call.as_mut().poll(context);
            let mut state = self.state();
            state.computed += since.elapsed();
            (state.since, state.turn, state.ticked_at) = (None, None, None);
            match polled {
                Poll::Ready(output) => Poll::Ready(Went::ToItsEnd(output)),
                Poll::Pending if state.wants_aside != aside => {
                    running.take().map_or(Poll::Pending, |call| Poll::Ready(Went::Away(call)))
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Goes on there: what runs the call looks where it wants to be whenever it waits.
    async fn move_aside(&self, aside: bool) {
        let mut arrived = std::mem::replace(&mut self.state().wants_aside, aside) == aside;
        poll_fn(|context| {
            if std::mem::replace(&mut arrived, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn pace() -> (Arc<Turns>, Pace) {
        (Background::start().unwrap().turns("kg.example"), Pace::default())
    }

    #[tokio::test]
    async fn a_turn_ends_when_the_call_waits() {
        let (turns, pace) = pace();
        let free = turns.own.available_permits();
        let (own, seen) = (pace.clone(), Arc::clone(&turns));
        let call = async move {
            own.next_turn(&seen).await;
            let during = seen.own.available_permits();
            tokio::task::yield_now().await;
            (during, seen.own.available_permits())
        };
        assert_eq!(pace.run(&turns, call).await.unwrap(), (free - 1, free));
    }

    #[tokio::test]
    async fn a_plugin_has_no_more_turns_than_there_are_processors() {
        let (turns, late) = pace();
        let holders: Vec<_> = (0..processors()).map(|_| Pace::default()).collect();
        for holder in &holders {
            holder.next_turn(&turns).await;
        }
        let mut waiting = pin!(late.next_turn(&turns));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert!(futures_util::poll!(&mut waiting).is_pending(), "all its turns are taken");
        holders.iter().for_each(|pace| pace.state().turn = None);
        waiting.await;
        assert_eq!(turns.own.available_permits(), processors() - 1);
    }

    fn is_aside() -> bool {
        std::thread::current().name() == Some("uuk-long-call")
    }

    #[tokio::test]
    async fn a_call_goes_aside_once_it_is_a_long_one_and_comes_back() {
        let (turns, pace) = pace();
        let (own, its_turns) = (pace.clone(), Arc::clone(&turns));
        let call = async move {
            own.before_guest(&its_turns).await;
            let at_first = is_aside();
            own.next_turn(&its_turns).await;
            let once_long = is_aside();
            tokio::time::sleep(Duration::from_millis(1)).await;
            let after_waiting = is_aside();
            own.come_back().await;
            [at_first, once_long, after_waiting, is_aside()]
        };
        assert_eq!(pace.run(&turns, call).await.unwrap(), [false, true, true, false]);
    }

    #[tokio::test]
    async fn after_a_long_call_the_next_ones_compute_aside_from_the_start() {
        let (turns, long) = pace();
        let (own, its_turns) = (long.clone(), Arc::clone(&turns));
        long.run(&turns, async move { own.next_turn(&its_turns).await }).await.unwrap();
        let mut went_aside = 0;
        for _ in 0..2 * EXPECTED_LONG {
            let short = Pace::default();
            let (own, its_turns) = (short.clone(), Arc::clone(&turns));
            let call = async move {
                own.before_guest(&its_turns).await;
                is_aside()
            };
            went_aside += u32::from(short.run(&turns, call).await.unwrap());
        }
        assert_eq!(went_aside, EXPECTED_LONG);
    }

    #[tokio::test]
    async fn a_new_version_is_taken_for_what_the_old_one_was() {
        let background = Background::start().unwrap();
        let (old, other) = (background.turns("kg.example.a"), background.turns("kg.example.b"));
        let long = Pace::default();
        let (own, its_turns) = (long.clone(), Arc::clone(&old));
        long.run(&old, async move { own.next_turn(&its_turns).await }).await.unwrap();
        let new = background.turns("kg.example.a");
        assert_eq!(
            [&new, &other].map(|turns| turns.expected_long.load(Ordering::Relaxed)),
            [EXPECTED_LONG, 0]
        );
        drop((old, new));
        assert_eq!(background.turns("kg.example.a").expected_long.load(Ordering::Relaxed), 0, "all are gone");
    }

    #[tokio::test]
    async fn a_long_call_that_nobody_waits_for_ends() {
        let (turns, pace) = pace();
        let (own, its_turns) = (pace.clone(), Arc::clone(&turns));
        let (alive, mut ended) = tokio::sync::oneshot::channel::<()>();
        let call = async move {
            own.next_turn(&its_turns).await;
            let _alive = alive;
            std::future::pending::<()>().await;
        };
        {
            let mut running = pin!(pace.run(&turns, call));
            let long = tokio::time::timeout(Duration::from_millis(20), &mut running).await;
            assert!(long.is_err());
            assert!(
                ended.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty),
                "it still runs"
            );
        }
        assert!(ended.await.is_err(), "its future is dropped");
    }

    #[tokio::test]
    async fn a_long_call_that_panics_is_lost_and_takes_nothing_with_it() {
        let (turns, pace) = pace();
        let (own, its_turns) = (pace.clone(), Arc::clone(&turns));
        let call = async move {
            own.next_turn(&its_turns).await;
            panic!("as planned");
        };
        let result: Result<(), Lost> = pace.run(&turns, call).await;
        assert!(result.is_err());
    }
}

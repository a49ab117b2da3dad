//! Messages by session, from the moment they are whole until somebody takes them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use crate::buffer::Buffer;
use crate::config::Config;
use crate::frame::cost;
use crate::peer::{Conn, Peer};
use crate::reader::BULK;
use crate::sync::{wait, Hold};

pub type SessionId = [u8; 16];

/// Who sent it, and what; nothing: that peer is lost.
pub type Taken = (Arc<Peer>, Option<Buffer>);

/// A wait shorter than this was brief: the next one begins with polling, for as long as two messages and the peer's
/// work between them take at most (a scalar multiplication): asleep after 50, 100 of them took 20 ms instead of 14.
const BRIEF: Duration = Duration::from_micros(1000);
const POLL: Duration = Duration::from_micros(250);
/// Closed sessions whose stragglers are still recognised and dropped.
const REMEMBERED: usize = 65_536;

/// What arrived from `peer`; `None`: the peer was lost. `life` tells one incarnation of the pair from the next and is
/// unique in the process.
struct Item {
    peer: Arc<Peer>,
    life: u64,
    body: Option<Buffer>,
    _charge: Option<Charge>,
}

/// What a message takes of the memory that its peer may fill here, from its first frame until it is taken or dropped; also
/// beyond the life of the pair, or a peer that comes and goes could fill it again each time.
pub struct Charge {
    peer: Arc<Peer>,
    cost: u64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.peer.backlog.unread.leave(self.cost);
    }
}

/// Where a message goes once it is whole, and what it takes until then. Nothing: nobody wants it.
pub type Place = Option<(Arc<Inbox>, Charge)>;

/// Bytes of one session from one peer: announced and not yet taken; taken and not yet told to the sender.
struct Account {
    peer: Arc<Peer>,
    life: u64,
    unread: u64,
    uncredited: u64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Item>,
    accounts: Vec<Account>,
    /// The last life of each peer that was reported lost.
    lost: HashMap<String, u64>,
    members: Option<HashSet<String>>,
    /// Whose message started the session here, until somebody opens it.
    started_by: Option<Arc<Peer>>,
    opened: bool,
    closed: bool,
    woken: bool,
}

impl State {
    /// Whether a `take` that leaves what these peers sent has something to say. The loss of a peer is never left, nor is
    /// what it sent before.
    fn is_ready(&self, held: &[String]) -> bool {
        self.woken || self.closed || self.queue.iter().any(|item| !self.is_left(item, held))
    }

    fn is_left(&self, item: &Item, held: &[String]) -> bool {
        held.contains(&item.peer.name) && !self.lost.contains_key(&item.peer.name)
    }

    fn account(&mut self, peer: &Arc<Peer>, life: u64) -> &mut Account {
        let found = self
            .accounts
            .iter()
            .position(|a| Arc::ptr_eq(&a.peer, peer) && a.life == life);
        let index = found.unwrap_or_else(|| {
            self.accounts.push(Account {
                peer: peer.clone(),
                life,
                unread: 0,
                uncredited: 0,
            });
            self.accounts.len() - 1
        });
        &mut self.accounts[index]
    }

    /// The life has ended: nobody is left to credit. While nobody has opened the session its bytes still count.
    fn end_accounts(&mut self, life: u64) -> bool {
        let concerned = self.accounts.iter().any(|account| account.life == life);
        if self.opened {
            self.accounts.retain(|account| account.life != life);
        }
        concerned
    }

    fn mark_opened(&mut self) {
        self.opened = true;
        for account in &self.accounts {
            account.peer.backlog.unopened.leave(account.unread);
        }
        if let Some(peer) = self.started_by.take() {
            peer.backlog.sessions.leave(1);
        }
    }

    fn admits(&self, peer: &str) -> bool {
        self.members
            .as_ref()
            .is_none_or(|members| members.contains(peer))
    }

    fn mark_lost(&mut self, peer: &Arc<Peer>, life: u64) {
        if self.admits(&peer.name) && self.lost.insert(peer.name.clone(), life) != Some(life) {
            self.queue.push_back(Item {
                peer: peer.clone(),
                life,
                body: None,
                _charge: None,
            });
        }
    }
}

/// The messages of one session.
pub struct Inbox {
    pub session: SessionId,
    created: Instant,
    window: u64,
    state: Mutex<State>,
    /// From whom messages come, once the session is opened for fixed members.
    sources: OnceLock<Vec<Arc<Peer>>>,
    process: u32,
    ready: Condvar,
    /// Counts what may end a wait.
    arrivals: AtomicU64,
    /// The last wait was brief.
    brief: AtomicBool,
}

impl Inbox {
    fn announce(&self) {
        self.arrivals.fetch_add(1, Release);
    }

    fn new(session: SessionId, window: u64) -> Arc<Inbox> {
        let state = Mutex::new(State::default());
        Arc::new(Inbox {
            session,
            created: Instant::now(),
            window,
            state,
            sources: OnceLock::new(),
            process: std::process::id(),
            ready: Condvar::new(),
            arrivals: AtomicU64::new(0),
            brief: AtomicBool::new(true),
        })
    }

    /// Everything that is there but what the peers in `held` sent, waiting up to `time` for the first; `None` on timeout,
    /// and an empty list after `wake` and when closed. What is left fills its peer's window.
    pub fn take(&self, time: Duration, held: &[String]) -> Option<Vec<Taken>> {
        let start = Instant::now();
        if !self.poll(start, time, held) {
            return None;
        }
        let mut guard = self.state.hold();
        let _asleep = (!guard.is_ready(held)).then(|| Asleep::until(self.conns()));
        while !guard.is_ready(held) {
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() {
                return None;
            }
            guard = wait(&self.ready, guard, left);
        }
        self.brief.store(start.elapsed() < BRIEF, Relaxed);
        Some(self.empty(guard, held))
    }

    /// Read the members' connections again and again for a moment before going to sleep, giving way to whoever else wants the
    /// core: waking a thread on a sleeping core takes longer than a small message there and back. Only while waits have been
    /// brief; false: `time` is up.
    fn poll(&self, start: Instant, time: Duration, held: &[String]) -> bool {
        if time.is_zero() || !self.brief.load(Relaxed) {
            return true;
        }
        let before = self.arrivals.load(Acquire);
        if self.state.hold().is_ready(held) {
            return true;
        }
        let mut reading = Reading::of(self.conns());
        loop {
            let bulk = reading.read_now();
            if self.arrivals.load(Acquire) != before {
                reading.soon_again = !bulk;
                return true;
            }
            let waited = start.elapsed();
            if bulk || waited >= POLL {
                return waited < time;
            }
            std::thread::yield_now();
        }
    }

    /// The connections that messages come from. In a forked child they are its parent's: none.
    fn conns(&self) -> Vec<Arc<Conn>> {
        match self.sources.get() {
            Some(peers) if self.process == std::process::id() => {
                peers.iter().filter_map(|peer| peer.conn()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// `take` without waiting.
    pub fn take_now(&self, held: &[String]) -> Option<Vec<Taken>> {
        let guard = self.state.hold();
        guard.is_ready(held).then(|| self.empty(guard, held))
    }

    /// The oldest message of a peer, if there is one.
    pub fn take_one(&self, peer: &str) -> Option<Taken> {
        let mut guard = self.state.hold();
        let place = guard.queue.iter().position(|item| item.peer.name == peer)?;
        let item = guard.queue.remove(place)?;
        self.handed_over(guard, vec![item]).pop()
    }

    fn empty(&self, mut guard: MutexGuard<'_, State>, held: &[String]) -> Vec<Taken> {
        guard.woken = false;
        let queue = std::mem::take(&mut guard.queue);
        let (left, items): (Vec<_>, _) = queue
            .into_iter()
            .partition(|item| guard.is_left(item, held));
        guard.queue = left.into();
        self.handed_over(guard, items)
    }

    /// Tell the senders that there is room again.
    fn handed_over(&self, mut guard: MutexGuard<'_, State>, items: Vec<Item>) -> Vec<Taken> {
        let mut credits = Vec::new();
        for item in &items {
            let Some(body) = &item.body else { continue };
            let window = self.window;
            let account = guard.accounts.iter_mut().find(|a| a.life == item.life);
            let Some(account) = account else { continue };
            account.unread = account.unread.saturating_sub(cost(body.len()));
            account.uncredited += cost(body.len());
            if account.uncredited >= window / 4 {
                credits.push((
                    item.peer.clone(),
                    item.life,
                    std::mem::take(&mut account.uncredited),
                ));
            }
        }
        drop(guard);
        for (peer, life, bytes) in credits {
            peer.credit(life, self.session, bytes);
        }
        items
            .into_iter()
            .map(|item| (item.peer, item.body)) // the charge ends here
            .collect()
    }

    /// Make an ongoing or the next `take` return at once.
    pub fn wake(&self) {
        self.state.hold().woken = true;
        self.announce();
        self.ready.notify_all();
    }

    /// True when the session was opened for fixed members and this one is gone for good.
    pub fn has_lost(&self, peer: &str) -> bool {
        let state = self.state.hold();
        state.members.is_some() && state.lost.contains_key(peer)
    }
}

/// The connections that a waiting thread reads in place of their own threads.
struct Reading {
    conns: Vec<Arc<Conn>>,
    soon_again: bool,
}

impl Reading {
    fn of(conns: Vec<Arc<Conn>>) -> Reading {
        conns.iter().for_each(|conn| conn.turn.enter());
        Reading {
            conns,
            soon_again: false,
        }
    }

    /// Take what has come; true when it is so much that it is better left to the connection's thread.
    fn read_now(&self) -> bool {
        let mut most = 0;
        for conn in &self.conns {
            most = most.max(conn.read_now());
        }
        most >= BULK
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        for conn in &self.conns {
            conn.turn.leave(!self.soon_again);
        }
    }
}

/// A thread that sleeps until a message of these connections comes.
struct Asleep(Vec<Arc<Conn>>);

impl Asleep {
    fn until(conns: Vec<Arc<Conn>>) -> Asleep {
        for conn in &conns {
            conn.turn.sleepers.fetch_add(1, SeqCst);
        }
        Asleep(conns)
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        for conn in &self.0 {
            conn.turn.sleepers.fetch_sub(1, SeqCst);
        }
    }
}

#[derive(Default)]
struct Map {
    inboxes: HashMap<SessionId, Arc<Inbox>>,
    closed: HashSet<SessionId>,
    closed_order: VecDeque<SessionId>,
}

/// All sessions of a link. Lock order: this map, then an inbox, then a peer.
pub struct Sessions {
    map: Mutex<Map>,
    window: u64,
    unread_bytes: u64,
    unopened_bytes: u64,
    unopened_sessions: u64,
    unopened_age: Duration,
}

impl Sessions {
    pub fn new(config: &Config) -> Sessions {
        Sessions {
            map: Mutex::default(),
            window: config.window,
            unread_bytes: config.unread_bytes,
            unopened_bytes: config.unopened_bytes,
            unopened_sessions: config.unopened_sessions,
            unopened_age: config.unopened_age,
        }
    }

    /// Open a session: what came earlier is kept. With `members`, only they are heard, and whoever of them is lost stays
    /// lost for this session. `peers`: all peers, to tell the new inbox who is lost already.
    pub fn open(
        &self,
        session: SessionId,
        members: Option<HashSet<String>>,
        peers: &[Arc<Peer>],
    ) -> Result<Arc<Inbox>, String> {
        let mut map = self.map.hold();
        map.closed.remove(&session);
        let inbox = map
            .inboxes
            .entry(session)
            .or_insert_with(|| Inbox::new(session, self.window))
            .clone();
        let mut state = inbox.state.hold();
        if state.opened {
            return Err("this session is open already".into());
        }
        state.mark_opened();
        state.members = members;
        let mut outsiders = Vec::new();
        if let Some(members) = state.members.clone() {
            let sources = peers.iter().filter(|peer| members.contains(&peer.name));
            let _ = inbox.sources.set(sources.cloned().collect()); // an inbox is opened once
            state.queue.retain(|item| members.contains(&item.peer.name));
            let (kept, dropped) = std::mem::take(&mut state.accounts)
                .into_iter()
                .partition(|account| members.contains(&account.peer.name));
            state.accounts = kept;
            outsiders = dropped;
        }
        for peer in peers {
            if let Some(life) = peer.lost_life() {
                state.end_accounts(life);
                state.mark_lost(peer, life);
            }
        }
        drop(state);
        drop(map);
        give_back(session, outsiders);
        Ok(inbox)
    }

    /// Later messages of the session are dropped, and senders that wait for room in it go on.
    pub fn close(&self, inbox: &Inbox) {
        let mut map = self.map.hold();
        if !map
            .inboxes
            .get(&inbox.session)
            .is_some_and(|known| std::ptr::eq(known.as_ref(), inbox))
        {
            return;
        }
        map.inboxes.remove(&inbox.session);
        map.remember(inbox.session);
        let accounts = inbox.shut();
        drop(map);
        give_back(inbox.session, accounts);
        for conn in inbox.conns() {
            conn.turn.hand_over();
        }
    }

    pub fn find(&self, session: &SessionId) -> Option<Arc<Inbox>> {
        self.map.hold().inboxes.get(session).cloned()
    }

    /// A message that costs `total` begins. `Ok(None)`: nobody wants it; credit it when it is whole.
    pub fn begin(
        &self,
        peer: &Arc<Peer>,
        life: u64,
        session: SessionId,
        total: u64,
    ) -> Result<Place, String> {
        let mut map = self.map.hold();
        let inbox = match map.inboxes.get(&session) {
            Some(inbox) => inbox.clone(),
            None if map.closed.contains(&session) => return Ok(None),
            None => {
                if !peer.backlog.sessions.enter(1, self.unopened_sessions) {
                    return Err(format!(
                        "more than {} sessions that nobody has opened",
                        self.unopened_sessions
                    ));
                }
                let inbox = Inbox::new(session, self.window);
                inbox.state.hold().started_by = Some(peer.clone());
                map.inboxes.insert(session, inbox.clone());
                inbox
            }
        };
        let mut state = inbox.state.hold();
        drop(map);
        if !state.admits(&peer.name) {
            return Ok(None);
        }
        let opened = state.opened;
        let account = state.account(peer, life);
        if account.unread >= self.window {
            return Err(format!(
                "a session with {} bytes unread (at most {})",
                account.unread, self.window
            ));
        }
        if !opened && !peer.backlog.unopened.enter(total, self.unopened_bytes) {
            return Err(format!(
                "more than {} bytes in sessions that nobody has opened",
                self.unopened_bytes
            ));
        }
        account.unread += total;
        drop(state);
        let charge = Charge {
            peer: peer.clone(),
            cost: total,
        };
        if !peer.backlog.unread.enter(total, self.unread_bytes) {
            std::mem::forget(charge); // nothing was counted
            return Err(format!(
                "more than {} bytes unread in all sessions",
                self.unread_bytes
            ));
        }
        Ok(Some((inbox, charge)))
    }

    /// The message is whole.
    pub fn finish(&self, peer: &Arc<Peer>, life: u64, inbox: &Inbox, charge: Charge, body: Buffer) {
        let mut state = inbox.state.hold();
        if !state.closed && state.admits(&peer.name) {
            state.queue.push_back(Item {
                peer: peer.clone(),
                life,
                body: Some(body),
                _charge: Some(charge),
            });
            drop(state);
            inbox.announce();
            inbox.ready.notify_one();
        }
    }

    /// The rest of a message will not come.
    pub fn cancel(&self, peer: &Arc<Peer>, life: u64, inbox: &Inbox, total: u64) {
        let mut state = inbox.state.hold();
        let opened = state.opened;
        let Some(account) = state
            .accounts
            .iter_mut()
            .find(|a| Arc::ptr_eq(&a.peer, peer) && a.life == life)
        else {
            return; // given back when the session was closed
        };
        account.unread = account.unread.saturating_sub(total);
        drop(state);
        if !opened {
            peer.backlog.unopened.leave(total);
        }
        peer.credit(life, inbox.session, total);
    }

    /// A peer was lost: every session that concerns it learns so, after what came before.
    pub fn lost(&self, peer: &Arc<Peer>, life: u64) {
        let inboxes: Vec<_> = self.map.hold().inboxes.values().cloned().collect();
        for inbox in inboxes {
            let mut state = inbox.state.hold();
            if state.end_accounts(life) || state.opened {
                state.mark_lost(peer, life);
                drop(state);
                inbox.announce();
                inbox.ready.notify_all();
            }
        }
    }

    /// Drop sessions that nobody opened in time; who started each.
    pub fn expire(&self) -> Vec<String> {
        let mut map = self.map.hold();
        let old: Vec<_> = map
            .inboxes
            .values()
            .filter(|inbox| {
                inbox.created.elapsed() > self.unopened_age && !inbox.state.hold().opened
            })
            .cloned()
            .collect();
        let mut returned = Vec::new();
        let mut from = Vec::new();
        for inbox in old {
            let started_by = inbox.state.hold().started_by.clone();
            from.extend(started_by.map(|peer| peer.name.clone()));
            map.inboxes.remove(&inbox.session);
            map.remember(inbox.session);
            returned.push((inbox.session, inbox.shut()));
        }
        drop(map);
        for (session, accounts) in returned {
            give_back(session, accounts);
        }
        from
    }

    pub fn close_all(&self) {
        for inbox in self.map.hold().inboxes.values() {
            inbox.state.hold().closed = true;
            inbox.announce();
            inbox.ready.notify_all();
        }
    }
}

impl Map {
    fn remember(&mut self, session: SessionId) {
        if self.closed.insert(session) {
            self.closed_order.push_back(session);
        }
        if self.closed_order.len() > REMEMBERED {
            if let Some(oldest) = self.closed_order.pop_front() {
                self.closed.remove(&oldest);
            }
        }
    }
}

impl Inbox {
    fn shut(&self) -> Vec<Account> {
        let mut state = self.state.hold();
        state.closed = true;
        state.queue.clear();
        if !state.opened {
            state.mark_opened();
        }
        let accounts = std::mem::take(&mut state.accounts);
        drop(state);
        self.announce();
        self.ready.notify_all();
        accounts
    }
}

fn give_back(session: SessionId, accounts: Vec<Account>) {
    for account in accounts {
        let bytes = account.unread + account.uncredited;
        if bytes > 0 {
            account.peer.credit(account.life, session, bytes);
        }
    }
}

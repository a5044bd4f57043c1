//! How it works inside, and the rules that the `unsafe` code rests on. There is no code here.
//!
//! The order is that of a state's life: the slot that it lives in, the bit that says it is active, the turn that
//! finds the bit, the sleep of a driver that finds none, and the trie that knows where each state waits. The words come
//! first, and the rules last.
//!
//! # Words
//!
//! One word for one thing, in the code and in what is written about it.
//!
//! | word | what it is |
//! |---|---|
//! | state | a value of the machine's type, from its allocation to its end |
//! | slot | the place in memory where one state at a time lives; `SlotId` is its number |
//! | tenant | the state that a slot holds as long as it has one version |
//! | version | how often a slot has changed hands; odd while it has a tenant |
//! | handle, token, lineage | a tenant by slot and version: with its type, in 64 bits, and of any machine |
//! | reserved | said of a slot that is taken and has no tenant yet |
//! | owned | said of a slot that is in some batch; its owner may move it to another point |
//! | locked | said of a slot whose payload a closure or hook may look into |
//! | payload | the state's bytes |
//! | parked | said of a slot that waits at a point |
//! | woken, notified | said of a slot whose closure is to run once more |
//! | active | parked and notified |
//! | point | a place in the program's text; with its iteration a *site* |
//! | stage, scope | a visit to a point where states wait; one deeper in the call stack |
//! | entrance | where new states wait, before the first point |
//! | node | a site below a scope, as the trie knows it; `NodeId` is its number |
//! | set | the active slots of one point; `SetId` is its number, and the *place* of a slot is the set where its bit goes |
//! | inbox | the slots that other threads have woken on a `Local` machine |
//! | traversal | the way of one turn through the points; a *cursor* is where it stands |
//! | shape | the path of fields from a state to what a batch works on |
//! | turn | one run of the entry point, by a driver |
//! | batch | the states that a stage has taken; a *segment* of the driver's *scratch space* has their *entries* |
//! | claimed | said of an entry whose bit was taken, and whose slot is not owned yet |
//! | change | what may give a driver something to do; it is *counted*, and *rings* the bell of a driver that *announced* its sleep |
//! | watch | what a driver looks at before it sleeps: the change counters of its workloads |
//! | record | what a machine knows of itself, apart from its arrays: `RawMachine` |
//! | row | the words that all of a machine's bookkeeping lies in |
//!
//! # A slot
//!
//! A machine is a few arrays with one element a slot, side by side and not interleaved: lifecycle words, places,
//! payloads, and parents if the [`Capacity`](crate::Capacity) asks for them. A wake reads and writes one lifecycle
//! word, so eight slots (sixteen on 32-bit targets) share a cache line, and the payload stays where it is.
//!
//! The lifecycle word holds the lock bit, the notified bit, the phase, four events that stay until they are taken, and
//! the version:
//!
//! ```text
//!              allocate              a turn takes it          its closure runs
//!   free ───────────────▶ parked ──────────────────▶ owned ───────────────────▶ owned, locked
//!    ▲                       ▲                          ▲                             │
//!    │                       ├── Wait ──────────────────│─────────────────────────────┤
//!    │                       │                          └── Next ─────────────────────┤
//!    └── version + 1 ────────│───── Release ──────────────────────────────────────────┘
//! ```
//!
//! All edges are pure functions in `slab/lifecycle.rs`, with the full diagram; `slab/slot.rs` runs them, each in one exchange.
//! An edge that starts from a handle compares the version in the same exchange, so there is no moment between "it is
//! still the same state" and "it is mine".
//!
//! Owning a slot is the right to move it to another point, and no more. The lock bit is the right to look into the
//! payload. They are two because a hook needs the second without the first.
//!
//! The place of a slot is the number of the active set where its bit goes. Each live state has one, always: a new
//! state waits at the *entrance*, set 0. So there is a place to go back to for every state of a batch that is
//! dropped.
//!
//! # Bitmaps
//!
//! Each point has an active set: a tree of words. A bit of the lowest level is a slot, and a bit of each level above
//! stands for a word of the level below, up to a level of one word. Setting a bit goes up and stops at the first word
//! that was not empty. Taking goes down and swaps each word for zero. So "nothing is active here" is one load, also in
//! a machine of a million slots, and a take touches only what is set, in address order. A machine of no more slots than
//! a word has bits has sets of one word.
//!
//! A bit is a hint; the lifecycle word is the truth. A bit may be stale: the state has ended, has moved, or was
//! released and its slot has a new tenant. The taker exchanges the lifecycle word first and reads the place
//! afterwards, as owner. Read before, the place could be that of an earlier tenant.
//!
//! The other direction has no slack: a slot that is parked and notified has its bit set, or the one that made it so is about to
//! set it. Each edge that makes a slot so returns `Activate`, which must be used.
//!
//! The free set has the same shape with another meaning: a set bit is a slot in use, a set bit above it is a full
//! word. All-zero memory is therefore a machine with every slot free, and a `static` needs no image. The lowest free
//! slot is taken first, which keeps live states dense.
//!
//! A `Local` machine has one more set, the inbox. It is atomic, and other threads and interrupt handlers set bits
//! there. The owner routes them to the points when its next turn starts.
//!
//! # A turn
//!
//! 1. The driver takes a snapshot of the change counter. On a `Local` machine it empties the inbox.
//! 2. It runs the entry point. Each stage looks for its node in the trie and takes the bits of its active set, as
//!    many as the scratch space allows. The slots are *claimed*: their bits are in hand, their words unchanged.
//! 3. `advance` goes through the batch. One exchange turns a claimed slot into one that is owned and locked. The
//!    closure runs, and another exchange parks the slot, keeps it in the batch, or ends it.
//! 4. What a closure keeps moves to the front of the batch's own segment of the scratch space, so a chain of stages
//!    needs no further room.
//! 5. The driver returns [`Progress::More`](crate::Progress::More) if a batch was full or the counter moved, else
//!    [`Quiet`](crate::Progress::Quiet).
//!
//! A stage takes at most a batch, and leaves one index of scratch space for each point that the turn has still to
//! visit. So each point moves in each turn. A set that was not emptied remembers where the take stopped, and the next
//! one goes on from there: `run.rs` has the bound.
//!
//! A closure or hook that panics unwinds through the lock, which ends that state, and through the batch, which puts
//! the others back.
//!
//! # Sleeping
//!
//! A wake that sets the first bit of an empty set counts a change; so does
//! [`ChangeCounter::ring`](crate::sleep::ChangeCounter::ring) for work that has no state yet. A driver sleeps only while
//! nothing was counted since its snapshot:
//!
//! ```text
//!   sleeper: snapshot;  run;  announce;  fence;  compare;  wait
//!   ringer:  publish the work;  count;  fence;  any announced? then ring
//! ```
//!
//! Both fences are sequentially consistent. Whichever comes second sees what stands before the other: the sleeper
//! sees the count and does not wait, or the ringer sees the announcement and rings. The wait has no time-out, since
//! none is needed.
//!
//! The owner of a `Local` machine counts its own changes in another word, with plain stores. It is awake, but a driver of
//! the same thread may sleep as a task of an executor, or behind a multiplexer that is hosted: then it rings. Both the
//! announcement and the change are the thread's own, so that needs no fence. A snapshot has both words.
//!
//! A bell that panics loses no state: what a turn has in hand goes back while the panic goes on, and the bell is silent
//! until the driver that it happened to has another turn.
//!
//! A set that is not empty counts no further change. That is enough: the one that set the first bit counted it, and a
//! driver that has not taken the bits since has not slept either.
//!
//! While a driver takes from a set, its root is zero, and other drivers may find it empty and sleep. What the take
//! leaves behind is therefore counted as one more change.
//!
//! # The trie
//!
//! A node is a point, an iteration and a parent. Nodes are appended to an array; the children of one are a list in the order
//! of the visits. The cursor of a scope expects the node after the one that it visited last, and compares its point; in a
//! deterministic program that is all. The node of a stage has the address of its set's top word, so a stage where nothing is
//! active is two comparisons: its point, and that word. A node that is not there yet is linked in where it is found, so a
//! stage may be first visited in any turn. A node that the recorded order has before the present place is a
//! [`Diverged`](crate::program::Diverged); `program/trie.rs` says what counts as recorded. Points are looked up by identity and never by
//! count, so a traversal that diverges names a fault and cannot move a state to a wrong point.
//!
//! A stage has its active set from its first visit, so that a limit that is too low is found in the first turn. When the
//! first batch arrives, it is bound to that batch's *shape*: the path of fields from the machine's state to what the batch
//! works on. Batches of another shape are a [`Mismatch`](crate::program::Mismatch). So the code below a stage sees values of one
//! type at one offset.
//!
//! # Rules
//!
//! Each `unsafe` block names those that it rests on. A tidy test checks that it does, and that the rule exists.
//!
//! * **R1, for ever**: the storage of a machine is borrowed for `'static`. Every pointer in it was made from a
//!   `&'static` reference, or is null. Nothing is ever unmapped, moved or given back. A node that a link has led to is in
//!   use: its point, its top word if it is a stage's, and what is expected behind it were written before.
//! * **R2, one lock**: only the holder of a slot's `locked` bit, or the reservation of a slot that has no tenant yet,
//!   touches its payload. The bit is set by exchanges on a word where it was clear, so there is one holder. A slot is given
//!   back by its reservation, or by what has ended its tenant; where that is in a batch, by the batch's owner, which buries
//!   it.
//! * **R3, one place**: only the owner of a slot, or what is allocating it, writes its place, puts it back or enters it. An
//!   entry that is marked as owned was made by what had just become the owner, and belongs to one batch.
//! * **R4, initialised while live**: a payload is written before its slot becomes live (an odd version) and dropped
//!   once, under the lock, before the version moves on. So the holder of the lock of a live slot finds a value.
//! * **R5, inside**: a `SlotId`, `NodeId` or `SetId` is below the number of slots, nodes or sets of the machine that it
//!   is used with. It was compared with that where it was made, or comes out of a cell or a bitmap of that machine, which
//!   hold nothing else: links are written with nodes that exist, places and entries with numbers that were inside, and bits
//!   are set for slots and for words that have bits. A machine has as many words as its sets and `Geometry` need, more
//!   nodes than sets, and a state's size of payload storage for each slot. A `Segment` was cut out of the scratch space
//!   that it is used with: the share of one driver, in one turn, whose lifetime no other turn shares.
//! * **R6, shape**: an `Offset` or `Path` leads, in the states of the machine that it is used with, to a value of its type.
//!   `field!` makes the offsets of fields, which are below 4 GiB, as all of the state is; projecting adds them up; and
//!   a path from a shape is made after the types were compared. A `Machine<T, A>` names a record that was assembled for
//!   `T` and `A`. A handle's type is that of the machine that accepts it.
//! * **R7, written once**: a cell that is filled after construction is written by the one thread that won an exchange,
//!   and others read it only after they have seen that it is filled.
//! * **R8, one thread**: only the thread that made a `Local` machine changes its words, the inbox apart. `Local` is
//!   neither `Send` nor `Sync`, nor is what carries it. Wakers, lineages and lists of live states may leave the thread: the
//!   first sets bits of the inbox, the others read words and no payload.
//! * **R9, zero is fresh**: all-zero bytes are a valid, unused element of every part of a machine's bookkeeping. The parts
//!   of a `static` are cut out of one row of words, one behind the other: `machine/layout.rs` says how many words that is,
//!   and the order is that of their alignment, which the compiler checks.
//! * **R10, task wakers**: the pointer of a raw waker was made from a `&'static` reference to a task cell by `Table::raw`,
//!   and nothing else is given that table. The cells lie in an array, in the order of the slots, so the address of one
//!   tells its slot.

//! A few rounds of what `make chaos` does a hundred of, with a seed of its own each time.

const ROUNDS: u32 = 10;
/// The same faults each time; what else happens is up to this machine.
const SEED: u64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_it_a_network_loses_nothing_and_pays_nothing_twice() {
    let tally = e2e::chaos::run(SEED, ROUNDS).await.unwrap_or_else(|error| panic!("{error:?}"));

    assert_eq!(tally.rounds, ROUNDS);
    assert!(tally.jobs >= 10 && tally.settled > 100, "it was at work: {tally}");
}

//! A few rounds of what `make chaos` does a hundred of.

const ROUNDS: u32 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_it_a_network_loses_nothing_and_pays_nothing_twice() {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).unwrap();
    let seed = u64::from_le_bytes(seed);
    eprintln!("seed {seed}");

    let tally = e2e::chaos::run(seed, ROUNDS).await.unwrap_or_else(|error| panic!("{error:?}"));

    assert_eq!(tally.rounds, ROUNDS);
    assert!(tally.jobs >= 10 && tally.settled > 100, "it was at work: {tally}");
}

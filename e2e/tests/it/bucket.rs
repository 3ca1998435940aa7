//! A server whose blobs lie in a bucket, from an order to its result.

use client::Client;
use e2e::digits;
use e2e::scripted::{Scripted, identity};
use e2e::stack::{Bucket, Stack};
use wire::{Job, JobState, Program};

use crate::engine_test;
use crate::s3::{BLOBS, S3Server, SECRET};

/// Works until the job is done; the store is away for a while in each lease.
async fn compute(client: &Client, job: &Job, device: &mut Scripted, server: &mut S3Server) -> Job {
    let work = async {
        loop {
            let grant = device.lease().await.unwrap();
            let output = device.compute(&grant).await.unwrap();
            server.stop().await;
            let (sent, ()) = tokio::join!(device.upload(&grant, &output), server.come_back());
            let receipt = device.receipt(&grant, &sent.unwrap()).unwrap();
            device.say(&device.commit(&receipt)).await.unwrap();
            assert!(device.verdict(&grant).await.unwrap());
        }
    };
    tokio::select! {
        ended = client.watch(job.id, |_| {}) => ended.unwrap(),
        () = work => unreachable!("it works for ever"),
    }
}

engine_test! {
    async fn a_job_with_its_blobs_in_a_bucket_that_comes_and_goes_ends_right(mut stack: Stack) {
        let mut server = S3Server::start().await;
        let bucket =
            Bucket { address: BLOBS.to_owned(), variables: server.variables().to_vec(), redirect_bytes: 1000 };
        stack.keep_blobs_in(bucket).await;
        let (client, key) = stack.customer().await.unwrap();
        let mut device = Scripted::join(&stack.url(), identity()).await.unwrap();
        let job = stack.submit_digits(&client, 1, None).await.unwrap();

        let ended = compute(&client, &job, &mut device, &mut server).await;

        assert_eq!((ended.state, ended.cost), (JobState::Done, ended.hold), "every tile is paid, none twice");
        stack.check_settled_once(&ended).await;
        let path = stack.folder().join("result.npy");
        client.download(job.id, &path).await.unwrap();
        let found = digits::floats(&std::fs::read(&path).unwrap());
        let expected = digits::expected();
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() < 1e-4));

        // The model, once from the bucket itself, without the account's key.
        let Program::Infer(program) = &job.program else { panic!("{:?}", job.program) };
        assert!(server.file(format!("blobs/{}", program.model)).is_file());
        server.take_seen();
        let path = stack.folder().join("model.onnx");
        client.download_blob(program.model, &path).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(digits::file("digits.onnx")).unwrap());
        let seen = server.take_seen();
        let fetched: Vec<_> = seen.iter().filter(|seen| seen.target.contains("X-Amz-Signature=")).collect();
        assert_eq!(fetched.len(), 1, "{seen:?}");
        assert!(fetched[0].method == "GET" && fetched[0].authorization.is_none(), "{fetched:?}");
        assert!(seen.iter().all(|seen| !format!("{seen:?}").contains(&key)), "{seen:?}");
        assert!(!stack.has_logged(SECRET) && !stack.has_logged("X-Amz-Signature"));
    }
}

//! Kernels that devices cannot compile, and kernels that they once could not.

use client::Client;
use e2e::browser::{Browser, Gpu};
use e2e::scripted::{Scripted, identity};
use e2e::stack::Stack;
use e2e::until::until;
use serde_json::json;
use std::collections::BTreeMap;
use wire::{Check, FromDevice, Hello, Job, JobFault, JobState, LeaseGrant, Map, Privacy, Program, SubmitJob};

use crate::customers::{Customer, customers};
use crate::engine_test;

const WITHIN: std::time::Duration = std::time::Duration::from_mins(3);

async fn submit(stack: &Stack, client: &Client, customer: &Customer) -> Job {
    submit_for(Privacy::Open, stack, client, customer).await
}

async fn submit_for(privacy: Privacy, stack: &Stack, client: &Client, customer: &Customer) -> Job {
    let upload = async |name: &str, bytes: &[u8]| {
        let file = stack.folder().join(name);
        std::fs::write(&file, bytes).unwrap();
        client.upload(&file).await.unwrap().hash
    };
    let params = &customer.params[..];
    let request = SubmitJob {
        program: Program::Map(Map {
            kernel: upload("kernel.wgsl", customer.kernel.as_bytes()).await,
            input: upload("input.bin", &customer.input).await,
            record_bytes: customer.contract.record_bytes,
            out_bytes: customer.contract.out_bytes,
            params: if params.is_empty() { None } else { Some(upload("params.bin", params).await) },
            fuel: None,
            check: integers_from_floats(customer),
            // Whole workgroups, which some of them are about.
            tile_records: Some(64),
        }),
        privacy,
        name: customer.name.to_owned(),
        limit: None,
        deadline_seconds: None,
        file_names: BTreeMap::new(),
    };
    client.submit(&request, &identity().device().to_string()).await.unwrap()
}

/// What has to be stated of integers that follow from floats: all of these are the same.
fn integers_from_floats(customer: &Customer) -> Option<Check> {
    let admitted = gate::admit(customer.kernel, customer.contract).expect("a kernel");
    let are_mixed =
        admitted.floats && admitted.words.iter().any(|column| column.dtype != gpu_kernels::dtype::DType::F32);
    are_mixed
        .then(|| serde_json::from_value(json!({ "kind": "tolerance", "integers": { "units": 0 } })).expect("a check"))
}

async fn refuse(device: &mut Scripted, grant: &LeaseGrant) {
    let message = "no such instruction\u{7}".to_owned();
    device.say(&FromDevice::CannotCompile { lease: grant.lease, message }).await.unwrap();
}

fn cannot_compile(backend: &str) -> JobFault {
    JobFault::CannotCompile { backend: backend.to_owned(), message: "no such instruction".to_owned() }
}

async fn reports(stack: &Stack, job: &Job) -> i64 {
    let sql = "select count(*) from job_event where job_id = $1 and kind = 'cannot_compile'";
    stack.row::<(i64,)>(sql, job.id).await.0
}

async fn owned_slices(stack: &Stack, job: &Job) -> i64 {
    stack.row::<(i64,)>("select count(*) from slice where job_id = $1 and owner <> ''", job.id).await.0
}

engine_test! {
    async fn a_guests_word_that_a_kernel_does_not_compile_ends_no_job(mut stack: Stack) {
        stack.add_checker().await;
        let (client, _) = stack.customer().await.unwrap();
        let customer = &customers()[0];
        let job = submit(&stack, &client, customer).await;
        for heard in 1..=4 {
            let mut guest = Scripted::join(&stack.url(), identity()).await.unwrap();
            let grant = guest.lease().await.unwrap();
            refuse(&mut guest, &grant).await;
            guest.say(&FromDevice::Ready).await.unwrap();
            let more = tokio::time::timeout(std::time::Duration::from_millis(700), guest.hear()).await;
            assert!(more.is_err(), "it gets no more of the job: {more:?}");
            // Before its socket closes.
            until("it is heard", WITHIN, async || (reports(&stack, &job).await == heard).then_some(())).await;
        }
        stack.start_worker("worker", &[]);

        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!((ended.state, reports(&stack, &job).await), (JobState::Done, 4));
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_kernel_that_a_checker_cannot_compile_either_ends_its_job(mut stack: Stack) {
        let trusted = identity();
        stack.trust(trusted.device().to_string()).await;
        let (client, _) = stack.customer().await.unwrap();
        let before = client.account().await.unwrap().available;
        let job = submit(&stack, &client, &customers()[0]).await;
        let mut guest = Scripted::join(&stack.url(), identity()).await.unwrap();

        let grant = guest.lease().await.unwrap();
        refuse(&mut guest, &grant).await;
        // Only when no server holds the job any more, which nobody here can do, does a checker connect.
        until("the job's slices are let go", WITHIN, async || {
            (reports(&stack, &job).await == 1 && owned_slices(&stack, &job).await == 0).then_some(())
        })
        .await;
        let (mut checker, nonce) = Scripted::open(&stack.url(), trusted).await.unwrap();
        let hello = checker.signed(nonce, Hello { checker: true, ..checker.hello(nonce) });
        checker.say(&FromDevice::Hello(Box::new(hello))).await.unwrap();
        let asked = checker.lease().await.unwrap();
        refuse(&mut checker, &asked).await;
        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!((ended.state, ended.fault), (JobState::Failed, Some(cannot_compile("checker"))));
        assert_eq!(client.account().await.unwrap().available, before, "all of it is free again");
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_kernel_that_no_checker_can_compile_ends_its_job_though_devices_can(mut stack: Stack) {
        let mut checker = stack.scripted_checker(1 << 30).await;
        let (client, _) = stack.customer().await.unwrap();
        let job = submit(&stack, &client, &customers()[0]).await;
        stack.start_worker("worker", &[]);

        let asked = checker.lease().await.unwrap();
        refuse(&mut checker, &asked).await;
        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!((ended.state, ended.fault), (JobState::Failed, Some(cannot_compile("checker"))));
        until("nothing waits any more", WITHIN, async || {
            let sql = "select count(*) from receipt where job_id = $1 and state in ('pending', 'accepted')";
            (stack.row::<(i64,)>(sql, job.id).await.0 == 0).then_some(())
        })
        .await;
        assert_eq!(client.account().await.unwrap().held.micros(), 0);
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_kernel_that_no_device_there_can_compile_ends_its_job_where_there_are_no_checkers(stack: Stack) {
        let (client, _) = stack.customer().await.unwrap();
        let (mut first, mut second) = (stack.established().await, stack.established().await);
        let job = submit(&stack, &client, &customers()[0]).await;
        let (one, other) = (first.lease().await.unwrap(), second.lease().await.unwrap());

        refuse(&mut first, &one).await;
        until("the first is heard", WITHIN, async || {
            (reports(&stack, &job).await == 1).then_some(())
        })
        .await;
        assert_eq!(client.job(job.id).await.unwrap().state, JobState::Running, "the other may be able to");
        refuse(&mut second, &other).await;
        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!((ended.state, ended.fault), (JobState::Failed, Some(cannot_compile("vulkan"))));
        assert_eq!(client.account().await.unwrap().held.micros(), 0);
        stack.check_ledger().await;
    }
}

engine_test! {
    async fn a_customers_own_device_is_believed_that_a_kernel_does_not_compile(stack: Stack) {
        let (client, key) = stack.customer().await.unwrap();
        let job = submit_for(Privacy::Own, &stack, &client, &customers()[0]).await;
        let (mut own, nonce) = Scripted::open(&stack.url(), identity()).await.unwrap();
        let hello = own.signed(nonce, Hello { key: Some(key), ..own.hello(nonce) });
        own.say(&FromDevice::Hello(Box::new(hello))).await.unwrap();

        let grant = own.lease().await.unwrap();
        refuse(&mut own, &grant).await;
        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!((ended.state, ended.fault), (JobState::Failed, Some(cannot_compile("vulkan"))));
        stack.check_ledger().await;
    }
}

#[tokio::test]
async fn kernels_that_devices_stumbled_over_give_right_answers_in_a_tab() {
    let mut stack = Stack::start().await;
    stack.add_checker().await;
    let (client, _) = stack.customer().await.unwrap();
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.lend(&stack.url(), "software").await;

    for customer in customers() {
        let job = submit(&stack, &client, &customer).await;
        let ended = client.watch(job.id, |_| {}).await.unwrap();

        assert_eq!(ended.state, JobState::Done, "{}: {:?}", customer.name, ended.fault);
        let file = stack.folder().join("result.bin");
        client.download(job.id, &file).await.unwrap();
        customer.check(&std::fs::read(file).unwrap());
    }
    let receipts = client.public_receipts().await.unwrap().rows;
    assert!(receipts.iter().all(|row| row.backend == "webgpu"));
    browser.close().await;
}

/// naga leaves this to the run, and Chromium computes it as it compiles: it is infinite.
const REFUSED_BY_CHROMIUM: &str = "
    @group(0) @binding(0) var<storage, read> source: array<u32>;
    @group(0) @binding(1) var<storage, read_write> result: array<u32>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3u) { result[id.x] = source[id.x] + u32(ldexp(2.0, 128)); }";

#[tokio::test]
async fn a_kernel_that_a_tabs_browser_refuses_ends_its_job_and_the_lend_page_says_why() {
    let stack = Stack::start().await;
    let (client, key) = stack.customer().await.unwrap();
    let browser = Browser::start(Gpu::Swiftshader).await;
    browser.open(&stack.url()).await;
    browser.sign_in(&stack.url(), &stack.session(&key).await.unwrap()).await;
    browser.lend(&stack.url(), "software").await;
    let customer = Customer {
        name: "refused",
        kernel: REFUSED_BY_CHROMIUM,
        contract: gate::Contract { record_bytes: 4, out_bytes: 4, fuel: None },
        params: Vec::new(),
        input: vec![0; 400],
        output: Vec::new(),
        tolerance: None,
    };

    let job = submit_for(Privacy::Own, &stack, &client, &customer).await;
    let ended = client.watch(job.id, |_| {}).await.unwrap();

    let Some(JobFault::CannotCompile { backend, message }) = &ended.fault else { panic!("{:?}", ended.fault) };
    assert!(backend == "webgpu" && message.contains("inf"), "{backend}: {message}");
    browser.text_where("[data-testid=trouble]", WITHIN, |said| said.contains("does not compile")).await;
    assert_eq!(client.account().await.unwrap().held.micros(), 0);
    stack.check_ledger().await;
    browser.close().await;
}

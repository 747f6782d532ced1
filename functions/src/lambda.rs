//! The handler for AWS Lambda: the event is an invocation, the response is the function's account.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};

use crate::aggregate::{FunctionError, aggregate};
use crate::bucket::Bucket;
use crate::invocation::{FunctionAccount, Invocation};
use crate::place;

/// Carries out the invocations that Lambda's Runtime API has, one after another, on the objects of `store`. Returns when the
/// platform asks for no more.
///
/// # Errors
/// The store cannot be opened, or the Runtime API does not answer. A function's own error goes to the caller, and the next
/// invocation is carried out all the same.
pub fn serve(store: &str) -> Result<(), Error> {
    // It has a runtime of its own, which must not begin within another.
    let bucket: Arc<dyn Bucket> = Arc::from(place::open(store)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handler = service_fn(move |event: LambdaEvent<Invocation>| carried_out(event.payload, Arc::clone(&bucket)));
    runtime.block_on(run(handler))
}

/// Carries one invocation out on a thread that may block.
async fn carried_out(invocation: Invocation, bucket: Arc<dyn Bucket>) -> Result<FunctionAccount, Error> {
    let begin = Instant::now();
    let work = move || -> Result<FunctionAccount, FunctionError> { aggregate(&invocation, bucket.as_ref(), begin) };
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?;
    Ok(done?)
}

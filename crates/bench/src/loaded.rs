//! Owns a server that holds the data set, as most measurements begin.

use crate::api::Job;
use crate::child::Server;
use crate::site::Site;
use crate::source::Source;
use crate::{Bench, Error, data};

/// Starts a server with nothing in it but an instance that can read a data set.
pub(crate) fn empty(
    bench: &Bench<'_>,
    site: &Site,
    name: &str,
    source: &Source,
) -> Result<Server, Error> {
    let data_dir = site.fresh_server(name)?;
    let server = Server::start(bench, &data_dir, &site.sources())?;
    server.api.create_instance(data::INSTANCE, "Bench")?;
    server.api.put_source(data::INSTANCE, &source.folder)?;
    Ok(server)
}

/// Has the server load its data source; all rows must be taken.
pub(crate) fn load(bench: &Bench<'_>, server: &Server, source: &Source) -> Result<Job, Error> {
    let job = server.api.refresh(data::INSTANCE)?;
    bench.narrator.begin("refreshing", Some(source.rows));
    let job = server
        .api
        .wait_for_job(bench, data::INSTANCE, &job, |job| {
            if let Some((stage, rows)) = job.running() {
                bench.narrator.at(rows, &stage);
            }
        })?;
    bench.narrator.end("refreshed");
    let (read, rejected) = (job.count("rowsRead"), job.count("rowsRejected"));
    if read != source.rows || rejected > 0 {
        let text = format!(
            "{read} rows were read and {rejected} rejected, of {}",
            source.rows
        );
        return Err(Error::unexpected(text));
    }
    Ok(job)
}

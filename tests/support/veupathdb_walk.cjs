// What VEuPathDB's page does with a job, by its own client; prints what it got as one line of JSON.
const { load } = require('./veupathdb_client.cjs');
const given = JSON.parse(process.argv[2]);
const refused = [];
let limit = ''; // bytes that the page wants of a report, in place of its own 10 MB
const fetched = globalThis.fetch;
globalThis.fetch = (request, init = {}) => {
  const headers = new Headers(init.headers || request.headers);
  if (limit) headers.set('Content-Max-Length', limit);
  return fetched(request, { ...init, headers });
};
const { api, poll } = load(given.site, given.url, {
  guestId: 42, cookie: `wdk_check_auth=${given.token}`, onError: e => refused.push(String(e.message || e).slice(0, 500)) });
const pause = () => new Promise(resolve => setTimeout(resolve, 200));
const value = answer => answer.status === 'ok' ? answer.value : (refused.push(JSON.stringify(answer).slice(0, 500)), {});
const word = answer => answer.status === 'error' ? answer.details.status : answer.status;
const ended = async id => {
  for (;;) {
    const job = value(await api.fetchJob(id));
    if (!['queued', 'in-progress'].includes(job.status)) return job.status;
    await pause();
  }
};
(async () => {
  const create = query => api.createJob('demo', given.targets, query, given.config, 0, 'note');
  const { jobId } = value(await create(given.query));
  value(await create(new File([given.query], 'q.fasta')));
  const statuses = { job: await ended(jobId), expired: value(await api.fetchJob(given.expired)).status };
  await api.rerunJob(given.expired);
  statuses.rerun = await ended(given.expired);
  value(await api.fetchJobEntities());
  value(await api.fetchQuery(jobId));
  const made = await poll(api, jobId, 'single-file-json');
  const reportId = made.reportId || made.reportID || (made.report || {}).reportID ||
    value(await api.createReport(jobId, { format: 'single-file-json' })).reportID;
  value(await api.fetchReport(reportId));
  value(await api.fetchReportEntities());
  const report = value(await api.fetchSingleFileJsonReport(reportId));
  limit = '10';
  const tooLarge = word(await api.fetchSingleFileJsonReport(reportId));
  limit = '';
  const unexpected = [...refused]; // what follows is to be refused
  const errors = { missing: word(await api.fetchJob('nope')), bad: word(await create('>a\nMK!')) };
  console.log(JSON.stringify({ refused: unexpected, statuses, report: report.BlastOutput2.length, tooLarge, errors }));
})().catch(error => { console.log(error.stack, refused); process.exit(1); });

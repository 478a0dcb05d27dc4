# SPDX-License-Identifier: BSD-2-Clause
"""prose.py - what the page says in words, and its style sheet"""

FACTORS = '''Above 1 (solid line) ours is ahead; the dashed line is twice. Throughput, calls and pairs: ours
divided by the best peer's; latency, memory and CPU time, where less is better: the best peer's divided
by ours. Medians of runs in the same placement. Who has no call for a batch takes part in batch-1:N with its
1:N, which is what it would do there; other workloads rank only who was measured on them.'''

GROUPS = '''Like is compared with like. <em>Handed over</em>: a consuming thread calls back, and the publisher goes
on; <code>stasis</code> is compared with these. <em>On the publisher's thread</em>: who publishes to an idle
subscriber calls back itself. No message goes from thread to thread, which is fast, but a slow subscriber holds
up the publisher, and subscribers do not run beside it; <code>stasis-inline</code>
(<code>STASIS_WAIT_INLINE</code>) is compared with these. <em>A thread that does not sleep</em>: at a given pace,
one that uses 80 % of a CPU and more is compared with <code>stasis-spin</code>, whose worker never sleeps; one that
sleeps between messages with <code>stasis</code>. In tables each peer's cell names that one of ours and
says how many times better it is. Calls are made on the caller's thread by <code>stasis</code>
(<code>stasis_publish_sync()</code> to an idle subscription) and by oneTBB (<code>wait_for_all()</code> runs the
task) alike; the other peers' calls go to another thread and back, and no call of ours does that, so
their figures say what the call costs, not the hand-over.'''

THROUGHPUT = '''Messages delivered, verified and freed, a second: one message to ten subscribers is ten
deliveries. Bars are medians, the thin lines go from the slowest run to the fastest. <abbr>+je</abbr>: with
jemalloc preloaded, which suited this engine better. Who lost, repeated or reordered messages, or overlapped
callbacks, has no bar. In batch-1:N only those who can publish many messages with one call take part.'''

SCALING = '''Both axes are logarithmic; the vertical lines are the ranges of the runs. More threads than
CPUs share them, as they do in the field.'''

LATENCY = '''One publisher at a fixed pace; from the moment when a message is <em>due</em> to its callback
reading the clock. Every sample is kept, so percentiles are exact; in curves and tables a percentile is
given only where every run has a sample beyond it. futex is the control: a bare wake-up of a sleeping
thread, without queue or memory. Engines that spin pay with a CPU, inline ones with the publisher's
time: compare like with like. CPU of consumers: of all threads but the publisher's, which busy-waits, in per cent
of one CPU.'''

CPU = '''CPU time that the whole process used while it measured, all threads together, divided by what was
delivered. Who spins pays here.'''

OTHERS = '''Request and reply: one client, one server, a call at a time, each in its own way; ours and oneTBB's
are served on the caller's thread, the others' by another one. Coming and going: see below. Cache: the last message of every id,
replaced by one thread and read by another, beside a hash table under a lock.'''

CHURN = '''Coming and going: subscribe, unsubscribe, and know that no callback runs any more. In every 16th
cycle a message is published to all who are there and is under way when its subscriber leaves; a callback that
comes later fails the run. What else a cycle includes:'''

# Beside the figure.
PANEL_NOTES = {'churn-100': 'stasis tells every one of the 100 others of each coming and going, 200 messages a pair; '
                            'no peer tells anybody, nor do stasis-quiet and stasis-inline here, which are compared '
                            'with them'}

# (engines, a cycle, who is told)
CHURN_INCLUDES = [
    ('stasis', 'a subscription and its mailbox, a place in the topic\u2019s array; waits for the worker, which '
     'delivers what came before and a final message',
     'every other subscriber, of each coming and each going: beside 100 others 200 deliveries a cycle, most of '
     'the figure'),
    ('stasis-quiet', 'the same with subscribers that take messages of given types only; waits for the worker, '
     'which delivers what came before and a final message', 'nobody: changes are not of these types'),
    ('stasis-inline', 'the same without a worker: who joins delivers the final message himself', 'nobody, likewise'),
    ('zeromq-pubsub', 'a socket made, connected, closed; no thread: who publishes also takes; what is '
     'under way is dropped', 'nobody'),
    ('nng-pubsub', 'a socket made, dialled, closed; no thread of its own; what is under way is dropped', 'nobody'),
    ('glib', 'a queue and a thread made; joined when it has taken what came before', 'nobody'),
    ('tbb', 'a node and an edge: a list under a lock, neither thread nor queue to end; wait_for_all() waits '
     'for every message of the graph, and returns at once when there is none, in 15 of 16 cycles', 'nobody'),
    ('caf', 'an actor spawned, sent an exit message, which it takes after what came before, and waited for', 'nobody'),
    ('caf-sharing', 'as caf', 'nobody'),
]

STALLED = '''<em>stalled</em>: it did not deliver the rest in time, or was killed at the limit, in half of its
runs or more. That is no error of the peer's: with very many subscribers or threads it may need longer than a run
may last on this machine. <em>failed</em>: it lost, repeated or reordered a message, overlapped callbacks, called
back after an unsubscribe, crashed, or said nonsense.'''

MEMORY = '''Measured once with each allocator: what one idle subscriber on a topic or endpoint of its own
costs, and one queued message with a payload of 16 bytes. Idle: what a process with 100 subscribers that
have nothing to do uses in a second, once, three seconds after its start; all engines at once.
Below 100 µs and two context switches a second, which is the harness itself, all count as equal.'''

METHOD = '''<ul>
<li><b>One harness.</b> Every engine is driven, checked and timed by the same code, that of
<code>stasis-bench</code>. A run is a process of its own.</li>
<li><b>The same promises.</b> One consumer per subscriber, never overlapping; every subscriber gets every
message of every publisher in that publisher's order; each message is allocated by its publish, and its payload
copied into it once. Every callback checks the publisher's number and sequence; a mark that is set while it runs
finds overlaps; in the end the count must be that of what was published. Who breaks a promise is shown as failed
and not ranked.</li>
<li><b>Time.</b> After a warm-up of a fifth of the time, until the time is up <em>and everything published has
been delivered</em>: what is in a queue is not done.</li>
<li><b>Back pressure.</b> At most 64 Ki messages are outstanding, with fan-out as many deliveries, but
room for 256 messages; with large payloads at most 256 MiB. The peers' own limits are lifted, as their
documentation says.</li>
<li><b>Turns.</b> A round goes through all workloads, and in each ours and the peers take turns, a run each:
of ours and any peer, runs alternate. What disturbs the machine meets all. Given are median, smallest and
largest of the runs.</li>
<li><b>Allocators.</b> Everything runs with glibc's malloc and with jemalloc preloaded in the first rounds, from
then on with what gave the better median, and is credited with that.</li>
<li><b>Placement.</b> Just before and after a run, two threads on the two CPUs pass one cache line to and fro.
Below 60 ns a round trip, the placement is called one core (two hyperthreads of it), else two cores; when
before and after differ, the run is mixed, dropped, and made again, twice at most. Compared are only runs
of the placement in which most runs of a workload were made.</li>
<li><b>Pinning.</b> With one publisher, it has the first CPU, consumers the second; with several
nothing is pinned. Calls and coming and going are made for half of the time on two CPUs, for the other half on one,
and the better rate counts.</li>
<li><b>Coordinated omission.</b> Message n is due at start + n × interval, whatever happened to those
before it, and its latency counts from then. A publisher that is held up sends late, and the delay counts in full
for every message that was due meanwhile: nothing is left out because sender and receiver were stuck together. The
publisher busy-waits for each moment, so the timer's own delay is not in it.</li>
<li><b>Percentiles.</b> Exact: every sample after the warm-up is kept and sorted, there is no histogram. Given is
the median of the runs' percentiles; the range is of the runs; the maximum column's upper end is the largest of
all samples.</li>
<li><b>What this does not show.</b> Other machines: ratios carry over better than rates. More than so many CPUs.
Networks: all of this is inside one process.</li>
</ul>'''

INTERRUPTED = 'Interrupted: not all runs were made. The figures are of those that were.'
QUICK = 'A quick look: one round of very short runs. These are no figures to rely on.'

STYLE = '''
:root{color-scheme:light dark;--bg:#fff;--card:#fff;--edge:#d9dee5;--text:#1b2430;--muted:#5a6675;
--grid:#e6eaef;--axis:#6b7786;--whisker:#1b2430;--peer:#a9b4c2;--ours:#0068b5;--behind:#c2410c;
--soft:#eef5fb;--s0:#0068b5;--s1:#7b8494;--s2:#8b5e3c;--s3:#111827;--s4:#d55e00;--s5:#b0308f;--s6:#008a65;
--s7:#a07a00;--s8:#3b9bd1}
@media (prefers-color-scheme:dark){:root{--bg:#12161c;--card:#191f27;--edge:#323c48;--text:#e5e9ee;
--muted:#a2adba;--grid:#2b343f;--axis:#8793a1;--whisker:#e5e9ee;--peer:#5b6878;--ours:#57b0ff;
--behind:#ff8a5c;--soft:#1a2a3b;--s0:#57b0ff;--s1:#98a2b0;--s2:#c49a78;--s3:#f3f4f6;--s4:#ff914d;--s5:#f08ad6;
--s6:#3fd0a4;--s7:#e6c34a;--s8:#a8e3ff}}
@media print{:root{color-scheme:light}body{max-width:none}nav{display:none}
figure,tr,li{break-inside:avoid}.scroll{overflow:visible!important}table{font-size:7pt}
.panels{grid-template-columns:1fr 1fr!important}h2{break-after:avoid}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0 auto;max-width:1240px;padding:24px 20px 60px;background:var(--bg);color:var(--text);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 6px}
h2{font-size:1.3rem;line-height:1.3;margin:44px 0 8px;padding-top:14px;border-top:1px solid var(--edge)}
p{max-width:78ch;margin:8px 0}
.lead,.note,small,caption{color:var(--muted)}
.note{font-size:.82rem;margin:4px 0 0}
nav{display:flex;flex-wrap:wrap;gap:4px 16px;margin:14px 0 0;font-size:.92rem}
a{color:var(--ours)}
a:focus-visible,.scroll:focus-visible{outline:2px solid var(--ours);outline-offset:2px}
.warning{border-left:4px solid var(--behind);background:var(--soft);padding:8px 12px}
.tiles{list-style:none;padding:0;margin:14px 0;display:grid;gap:12px;
grid-template-columns:repeat(auto-fit,minmax(min(100%,220px),1fr))}
.tiles li{background:var(--soft);border-radius:8px;padding:12px 14px;font-size:.9rem;color:var(--muted)}
.tiles b{display:block;font-size:1.75rem;line-height:1.25;color:var(--text)}
.panels{display:grid;gap:14px;margin:14px 0;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr))}
.panels.two{grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr))}
figure{margin:0;background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:10px 12px;min-width:0}
figure.wide{margin:14px 0;max-width:868px}
figcaption{font-size:.95rem;margin-bottom:4px}
figcaption b{margin-right:.4em}
.chart{display:block;width:100%;height:auto;color:var(--axis)}
.chart text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.scroll{overflow-x:auto}
.wide .chart{min-width:600px}.two .chart{min-width:460px}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 16px;margin:6px 0 0;padding:0;
font-size:.82rem;color:var(--text)}
.legend .ours{font-weight:600}
.sample{width:28px;height:12px;margin-right:6px;vertical-align:-1px;fill:none;stroke:var(--c);stroke-width:1.8}
.sample .fill{fill:var(--c)}
div.scroll:has(table){margin:16px 0}
table{border-collapse:collapse;font-size:.82rem;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:0 0 6px;font-size:.85rem}
th,td{padding:5px 10px;border-bottom:1px solid var(--edge);text-align:right;vertical-align:top;white-space:nowrap}
thead th{vertical-align:bottom;white-space:normal;min-width:6.5em;font-weight:600}
th:first-child{text-align:left;min-width:0;position:sticky;left:0;background:var(--bg)}
tbody th{font-weight:600}
tbody tr:hover>*{background:var(--soft)}
td small,th small{display:block;font-weight:400;font-size:.9em}
td.ours{background:var(--soft);font-weight:600}
td.ahead{color:var(--ours);font-weight:600}
td.behind,td.bad{color:var(--behind)}
td.behind{font-weight:600}
td.long{white-space:normal;text-align:left;min-width:16em;max-width:80ch}
abbr{text-decoration:none;font-size:.85em;color:var(--muted);margin-left:.3em;font-weight:400}
#invalid td{text-align:left;white-space:normal}
code{font-size:.92em}
time{white-space:nowrap}
@media (max-width:560px){body{padding:16px 12px 40px}h1{font-size:1.5rem}figure{padding:8px}
tbody th small{display:none}th,td{padding:5px 7px}}
'''

PAGE = '''<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>libstasis and its peers</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header>
<h1>libstasis and its peers</h1>
<p class="lead">{lead}</p>
{warnings}
<nav aria-label="contents">{contents}</nav>
</header>
<main>
{body}
</main>
</body>
</html>
'''

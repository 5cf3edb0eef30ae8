#include "flow/retain/retention.h"

#include <algorithm>

#include "flow/run/replay.h"

namespace flow {

using base::Result;
namespace json = base::json;

namespace {

constexpr std::size_t kToldMax = 1'000;
constexpr std::size_t kPieceBytes = 16u << 20;  // in memory before they go into the archive

/// Of the run, not of the disk or the database.
bool is_own_fault(const base::Error& error) {
    return error.code == base::Code::data_loss || error.code == base::Code::not_found;
}

/// Does an open run still want to hear of it? After a crash a parent asks how its child ended.
Result<bool> is_needed(RunLog& log, const RunHead& head) {
    if (!head.parent) return false;
    const auto parent = log.load_head(*head.parent);
    if (parent) return !is_final(parent->status);
    if (parent.error().code == base::Code::not_found) return false;
    return std::unexpected(parent.error());
}

}  // namespace

Result<std::string> export_line(RunLog& log, DefinitionSource& definitions, RunId run) {
    StoredRun stored = DG_TRY(log.load(run));
    RunState state;
    state.id = run;
    state.definition = DG_TRY(definitions.by_hash(stored.head.hash));
    if (!stored.snapshot.empty()) {
        const json::value snapshot = DG_TRY(base::parse_json(stored.snapshot, {.depth_max = 512}));
        DG_TRY(from_json(snapshot.as_object(), state));
    }
    for (const Event& event : stored.events) DG_TRY(apply(state, event));
    RunExport out;
    out.definition = state.definition->document;
    json::object shown = to_json(state);
    shown["workflow"] = stored.head.workflow;
    shown["version"] = stored.head.version;
    shown["definition"] = stored.head.hash;
    out.run = std::move(shown);
    return export_text(out, history_of(log, run));
}

Purged& Purged::operator+=(const Purged& other) {
    removed += other.removed;
    archived += other.archived;
    held += other.held;
    unreadable += other.unreadable;
    if (why.empty()) why = other.why;
    const std::size_t room = kToldMax - std::min(kToldMax, runs.size());
    runs.insert(
        runs.end(), other.runs.begin(),
        other.runs.begin() + static_cast<std::ptrdiff_t>(std::min(room, other.runs.size())));
    return *this;
}

Result<Purged> purge_batch(const RetentionParts& parts, const PurgeRequest& request,
                           std::int64_t now_ms, RunId& after, bool& more) {
    FinishedFilter filter;
    filter.before_ms = request.finished_before_ms;
    filter.tenant = request.tenant;
    filter.any_tenant = request.any_tenant;
    filter.workflow = request.workflow;
    filter.after = after;
    filter.limit = request.batch;
    const auto found = DG_TRY(parts.retiring.finished(filter));
    more = found.size() == filter.limit;
    if (!found.empty()) after = found.back().id;
    Purged out;
    std::vector<RunHead> going;
    std::vector<ArchivedRun> kept;
    std::size_t bytes = 0;
    const auto archive = [&]() -> Result<void> {
        if (!kept.empty()) DG_TRY(parts.archive->add(kept, now_ms));
        out.archived += kept.size();
        kept.clear();
        bytes = 0;
        return {};
    };
    for (const RunHead& head : found) {
        if (DG_TRY(is_needed(parts.log, head))) {
            ++out.held;
            continue;
        }
        if (parts.archive != nullptr && !request.dry_run) {
            auto line = export_line(parts.log, parts.definitions, head.id);
            if (!line && !is_own_fault(line.error())) return std::unexpected(line.error());
            if (!line) {
                if (out.unreadable++ == 0) out.why = line.error().message;
                continue;
            }
            bytes += line->size();
            kept.push_back({head, *std::move(line)});
            if (bytes > kPieceBytes) DG_TRY(archive());
        }
        going.push_back(head);
    }
    if (!request.dry_run) {
        DG_TRY(archive());
        if (!going.empty()) DG_TRY(parts.remove(going));
    }
    for (const RunHead& head : going) out.runs.push_back(head.id);
    out.removed = out.runs.size();
    return out;
}

}  // namespace flow

#include "flow/blobs/spilling_run_log.h"

#include <algorithm>

#include "flow/blobs/spilling_fleet.h"

namespace flow {

using base::Code;
using base::fail;
using base::Result;
namespace json = base::json;

namespace {

constexpr std::string_view kBlob = "$blob";
constexpr std::string_view kReference = "{\"$blob\"";
// Before a snapshot that is a blob: no value's text begins so, and a snapshot that another one has
// replaced is removed by its hash.
constexpr char kSnapshotMark = ' ';
constexpr std::size_t kSmall = 1'024;

/// A reference, or a value of a user's that looks like one.
bool looks_like_reference(const json::value& value) {
    const json::object* object = value.if_object();
    return object != nullptr && object->contains(kBlob);
}

/// Values within an event's that are kept for themselves.
template <class Each>
Result<void> each_part(Event& event, const Each& each) {
    if (event.kind != EventKind::run_started || !event.value.is_object()) {
        return each(event.value);
    }
    for (const char* name : {"input", "labels"}) {
        if (json::value* part = event.value.get_object().if_contains(name)) DG_TRY(each(*part));
    }
    return {};
}

/// Is there a value that would be read as a reference?
bool is_ambiguous(const Event& event) {
    if (event.kind != EventKind::run_started || !event.value.is_object()) {
        return looks_like_reference(event.value);
    }
    return std::ranges::any_of(event.value.get_object(), [](const auto& member) {
        return looks_like_reference(member.value());
    });
}

std::size_t event_bytes(const Event& event, std::size_t enough) {
    return 64 + event.path.size() + event.name.size() + text_bytes(event.value, enough);
}

}  // namespace

std::size_t text_bytes(const json::value& value, std::size_t enough) {
    std::size_t bytes = 0;
    if (const json::string* text = value.if_string()) return text->size() + 2;
    if (const json::array* list = value.if_array()) {
        for (const json::value& each : *list) {
            if (bytes > enough) break;
            bytes += 1 + text_bytes(each, enough - std::min(bytes, enough));
        }
        return bytes + 2;
    }
    if (const json::object* object = value.if_object()) {
        for (const auto& [name, member] : *object) {
            if (bytes > enough) break;
            bytes += name.size() + 4 + text_bytes(member, enough - std::min(bytes, enough));
        }
        return bytes + 2;
    }
    return 8;
}

SpillingRunLog::SpillingRunLog(RunLog& log, BlobStore& blobs, SpillOptions options)
    : log_(log),
      blobs_(blobs),
      options_(options),
      fleet_(log.fleet() == nullptr ? nullptr
                                    : std::make_unique<SpillingFleet>(*this, *log.fleet())),
      snapshots_(std::make_shared<Snapshots>()) {
    snapshots_->blobs = &blobs;
}

SpillingRunLog::~SpillingRunLog() {
    const std::lock_guard lock(snapshots_->mutex);
    snapshots_->blobs = nullptr;
}

Fleet* SpillingRunLog::fleet() {
    return fleet_.get();
}

void SpillingRunLog::forget(RunId run) {
    {
        const std::lock_guard lock(mutex_);
        broken_.erase(run);
    }
    const std::lock_guard lock(snapshots_->mutex);
    snapshots_->last.erase(run);
}

/// Does the change follow from one that was not written? From now on, one that is decided anew may.
bool SpillingRunLog::is_late(std::span<const RunChange> changes) {
    const std::lock_guard lock(mutex_);
    if (broken_.empty()) return false;
    for (const RunChange& change : changes) {
        const auto found = broken_.find(change.head.id);
        if (found != broken_.end() && change.first > found->second) return true;
    }
    for (const RunChange& change : changes) broken_.erase(change.head.id);
    return false;
}

/// What was appended before has its end first, as with any other failed write.
void SpillingRunLog::refuse(std::span<const RunChange> changes, base::Error error,
                            const Done& done) {
    log_.flush();
    {
        const std::lock_guard lock(mutex_);
        for (const RunChange& change : changes) {
            broken_.try_emplace(change.head.id, change.first);
        }
    }
    done(std::unexpected(std::move(error)));
}

void SpillingRunLog::append(std::span<const RunChange> changes, Done done) {
    pass(changes, std::move(done), [this](std::span<const RunChange> kept, Done written) {
        log_.append(kept, std::move(written));
    });
}

void SpillingRunLog::pass(std::span<const RunChange> changes, Done done, const Write& write) {
    if (is_late(changes)) {
        return refuse(changes, {Code::unavailable, "an earlier write of this run has failed", {}},
                      done);
    }
    std::size_t whole = 0;
    bool large = false;
    for (const RunChange& change : changes) {
        whole += change.snapshot.size();
        large = large || change.snapshot.size() > options_.value_bytes;
        for (const Event& event : change.events) {
            const std::size_t bytes = event_bytes(event, options_.value_bytes);
            whole += bytes;
            large = large || bytes > options_.value_bytes || is_ambiguous(event);
        }
    }
    if (!large && whole <= options_.group_bytes) {
        return write(changes, replacing(changes, std::move(done)));
    }
    std::vector<RunChange> kept(changes.begin(), changes.end());
    const std::size_t bytes_max = std::min(
        whole > options_.group_bytes ? kSmall : options_.value_bytes, options_.value_bytes);
    for (RunChange& change : kept) {
        if (auto spilled = spill(change, bytes_max); !spilled) {
            return refuse(changes, std::move(spilled).error(), done);
        }
    }
    write(kept, replacing(kept, std::move(done)));
}

/// The hash in a reference; empty: it is none.
std::string SpillingRunLog::hash_in(std::string_view snapshot) {
    if (!snapshot.starts_with(kReference)) return {};
    const auto read = base::parse_json(snapshot);
    const json::value* hash =
        read && read->is_object() ? read->get_object().if_contains(kBlob) : nullptr;
    return hash != nullptr && hash->is_string() ? std::string(hash->get_string()) : std::string();
}

/// Once a snapshot is durable the one before it is read no more: a run of any length has one blob
/// for its state.
RunLog::Done SpillingRunLog::replacing(std::span<const RunChange> changes, Done done) {
    std::vector<std::pair<RunId, std::string>> fresh;
    for (const RunChange& change : changes) {
        if (is_final(change.head.status)) {
            const std::lock_guard lock(snapshots_->mutex);
            snapshots_->last.erase(change.head.id);
        }
        if (!change.snapshot.empty()) fresh.emplace_back(change.head.id, hash_in(change.snapshot));
    }
    if (fresh.empty()) return done;
    return [kept = snapshots_, fresh = std::move(fresh),
            done = std::move(done)](const Result<void>& written) {
        for (const auto& [run, hash] : fresh) {
            const std::lock_guard lock(kept->mutex);
            if (!written || kept->blobs == nullptr) break;
            const std::string old = std::exchange(kept->last[run], hash);
            if (hash.empty()) kept->last.erase(run);
            // Where that fails it is in nobody's way, and goes with the run.
            if (!old.empty() && old != hash) (void)kept->blobs->remove(run, old);
        }
        done(written);
    };
}

Result<void> SpillingRunLog::spill(RunChange& change, std::size_t bytes_max) {
    const RunId run = change.head.id;
    for (Event& event : change.events) {
        DG_TRY(each_part(event, [&](json::value& value) { return spill(run, value, bytes_max); }));
    }
    if (change.snapshot.size() <= bytes_max) return {};
    const std::size_t bytes = change.snapshot.size();
    const std::string hash = DG_TRY(blobs_.put(run, kSnapshotMark + change.snapshot));
    change.snapshot = json::serialize(json::object{{kBlob, hash}, {"bytes", bytes}});
    return {};
}

Result<void> SpillingRunLog::spill(RunId run, json::value& value, std::size_t bytes_max) {
    if (!looks_like_reference(value) && text_bytes(value, bytes_max) <= bytes_max) return {};
    const std::string text = json::serialize(value);
    const std::string hash = DG_TRY(blobs_.put(run, text));
    value = json::object{{kBlob, hash}, {"bytes", text.size()}};
    return {};
}

Result<void> SpillingRunLog::resolve(RunId run, json::value& value) {
    if (!looks_like_reference(value)) return {};
    const json::value& hash = value.get_object().at(kBlob);
    if (!hash.is_string()) {
        return fail(Code::data_loss, "an event of {} names a value without its hash", to_text(run));
    }
    auto bytes = blobs_.get(run, std::string_view(hash.get_string()));
    if (!bytes) {
        base::Error error = std::move(bytes).error();
        error.code = Code::data_loss;
        return std::unexpected(std::move(error));
    }
    boost::system::error_code wrong;
    json::value read = json::parse(*bytes, wrong, {}, {.max_depth = 1'024});
    if (wrong) return fail(Code::data_loss, "a value of {} does not read as JSON", to_text(run));
    value = std::move(read);
    return {};
}

Result<void> SpillingRunLog::resolve(RunId run, Event& event) {
    return each_part(event, [&](json::value& value) { return resolve(run, value); });
}

Result<StoredRun> SpillingRunLog::load(RunId id) {
    for (std::string before;;) {
        StoredRun stored = DG_TRY(log_.load(id));
        const std::string hash = hash_in(stored.snapshot);
        if (!hash.empty()) {
            auto snapshot = blobs_.get(id, hash);
            // Another one may have replaced it since the log was asked.
            if (!snapshot && snapshot.error().code == Code::not_found && before != hash) {
                before = hash;
                continue;
            }
            stored.snapshot = DG_TRY(std::move(snapshot));
            if (stored.snapshot.starts_with(kSnapshotMark)) stored.snapshot.erase(0, 1);
            const std::lock_guard lock(snapshots_->mutex);
            if (!is_final(stored.head.status)) snapshots_->last.try_emplace(id, hash);
        }
        for (Event& event : stored.events) DG_TRY(resolve(id, event));
        return stored;
    }
}

Result<std::vector<Event>> SpillingRunLog::linked_history(RunId id, std::uint64_t skip,
                                                          std::uint32_t limit) {
    return log_.history(id, skip, limit);
}

Result<void> SpillingRunLog::blobs_of(RunId id,
                                      const std::function<void(std::string_view hash)>& each) {
    constexpr std::uint32_t kPage = 1'000;
    const auto name = [&](json::value& value) -> Result<void> {
        if (!looks_like_reference(value)) return {};
        const json::value& hash = value.get_object().at(kBlob);
        if (hash.is_string()) each(std::string_view(hash.get_string()));
        return {};
    };
    for (std::uint64_t next = 0;;) {
        std::vector<Event> page = DG_TRY(log_.history(id, next, kPage));
        for (Event& event : page) DG_TRY(each_part(event, name));
        next += page.size();
        if (page.size() < kPage) break;
    }
    const std::string snapshot = hash_in(DG_TRY(log_.load(id)).snapshot);
    if (!snapshot.empty()) each(snapshot);
    return {};
}

Result<std::vector<Event>> SpillingRunLog::history(RunId id, std::uint64_t skip,
                                                   std::uint32_t limit) {
    std::vector<Event> events = DG_TRY(log_.history(id, skip, limit));
    for (Event& event : events) DG_TRY(resolve(id, event));
    return events;
}

Result<std::size_t> SpillingRunLog::collect() {
    return blobs_.collect([&](RunId run) -> Result<bool> {
        const auto head = log_.load_head(run);
        if (head) return true;
        if (head.error().code == Code::not_found) return false;
        return std::unexpected(head.error());
    });
}

}  // namespace flow

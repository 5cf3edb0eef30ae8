#include "flow/observe/span_export.h"

#include <algorithm>
#include <future>
#include <utility>
#include <vector>

namespace flow {
namespace {

constexpr std::size_t kFreshMax = 20'000;
constexpr std::size_t kKnownMax = 2'000;
constexpr std::uint32_t kPage = 1'000;

}  // namespace

SpanExport::SpanExport(Runtime& runtime, RunLog& log, DefinitionSource& definitions,
                       base::trace::SpanSink& sink)
    : runtime_(runtime), log_(log), definitions_(definitions), sink_(sink) {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    std::promise<void> attached;
    runtime_.post([&] {
        watcher_ = runtime_.engine().watch(
            [this](RunId run, const std::vector<Event>& events, std::uint64_t first) {
                if (runtime_.engine().foreign(run)) return;  // its own process hands it over
                const std::lock_guard lock(mutex_);
                if (fresh_.size() >= kFreshMax && !fresh_.contains(run)) {
                    ++dropped_;
                    return;
                }
                const auto [at, added] = fresh_.try_emplace(run, Range{first, first});
                at->second.end = first + events.size();
                if (added && fresh_.size() == 1) wake_.notify_one();
            });
        attached.set_value();
    });
    attached.get_future().wait();
}

SpanExport::~SpanExport() {
    std::promise<void> detached;
    runtime_.post([&] {
        runtime_.engine().unwatch(watcher_);
        detached.set_value();
    });
    detached.get_future().wait();
    thread_.request_stop();
    thread_.join();
}

std::uint64_t SpanExport::dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_;
}

void SpanExport::run(const std::stop_token& stop) {
    for (;;) {
        std::unordered_map<RunId, Range> fresh;
        {
            std::unique_lock lock(mutex_);
            if (!wake_.wait(lock, stop, [&] { return !fresh_.empty(); })) return;
            fresh.swap(fresh_);
        }
        for (const auto& [id, range] : fresh) follow(id, range);
        evict();
    }
}

/// Reads no further than it was told: what comes after is told, too, and a run that is forgotten in
/// between would be handed over twice.
void SpanExport::follow(RunId id, Range fresh) {
    Known& known = known_[id];
    known.used = ++use_;
    const auto forget = [&] { known_.erase(id); };
    // What was before is handed over already, unless it is remembered that it was not.
    const std::uint64_t handed_over = known.spans == nullptr ? fresh.first : known.next;
    if (known.spans == nullptr) {
        const auto head = log_.load_head(id);
        auto definition =
            head ? definitions_.by_hash(head->hash)
                 : base::Result<std::shared_ptr<const Definition>>(std::unexpected(head.error()));
        if (!definition) return forget();
        known.spans = std::make_unique<RunSpans>(id, *std::move(definition));
    }
    while (known.next < fresh.end) {
        const auto limit = std::min<std::uint64_t>(fresh.end - known.next, kPage);
        const auto page = log_.history(id, known.next, static_cast<std::uint32_t>(limit));
        if (!page || page->empty()) return forget();
        for (const Event& event : *page) {
            known.spans->add(event);
            const bool fresh_one = known.next++ >= handed_over;
            for (const RunSpan& span : known.spans->take_ended()) {
                if (fresh_one && known.spans->trace().sampled) {
                    sink_.record(to_span(span, known.spans->trace()));
                }
            }
        }
    }
    if (known.spans->over()) forget();
}

/// Runs that nothing happened to for long: their past is read again when something does.
void SpanExport::evict() {
    if (known_.size() <= kKnownMax) return;
    std::vector<std::pair<std::uint64_t, RunId>> old;
    old.reserve(known_.size());
    for (const auto& [id, known] : known_) old.emplace_back(known.used, id);
    const auto goal = static_cast<std::ptrdiff_t>(known_.size() - kKnownMax / 2);
    std::ranges::nth_element(old, old.begin() + goal);
    for (auto at = old.begin(); at != old.begin() + goal; ++at) known_.erase(at->second);
}

}  // namespace flow

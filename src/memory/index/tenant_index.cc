// Locks and life of an index. One writer at a time; readers share. What takes long (compaction,
// codes of vectors) is made in the background, beside the state that is read and written: in short
// pieces between writes, then once more for what was written meanwhile, and swapped in.

#include "memory/index/tenant_index.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <utility>

#include "base/core/check.h"
#include "memory/index/arrival_order.h"
#include "memory/index/selection.h"
#include "memory/index/state.h"
#include "memory/truth/session_truth.h"

namespace memory::index {
namespace {

/// Dead slots are dropped when there are this many, and more than a third of all.
constexpr std::uint32_t kDeadMin = 1024;
/// Entries copied while writers wait: about a millisecond.
constexpr Slot kCopyPiece = 32;

class StateReader final : public Reader {
public:
    StateReader(std::shared_lock<std::shared_mutex> lock, const State& state, std::uint32_t dims)
        : lock_(std::move(lock)), state_(state), dims_(dims) {}

    std::uint32_t live() const override { return state_.live(); }

    base::Result<std::unique_ptr<Selection>> select(const Filter& filter, UnixMs now) override {
        return std::make_unique<SlotSelection>(
            state_.columns().select(filter, now, state_.live_bits(),
                                    [this](Slot slot) { return state_.log().metadata_of(slot); }));
    }
    std::uint64_t count(const Selection& selection) const override {
        return SlotSelection::of(selection).count();
    }

    bool selected(const Selection& selection, Slot slot) const override {
        return SlotSelection::of(selection).bits().test(slot);
    }

    std::vector<Scored> keyword(const KeywordQuery& query, const Selection& selection,
                                std::uint32_t limit) override {
        return state_.keyword().best(query, SlotSelection::of(selection).bits(),
                                     SlotSelection::of(selection).count(), limit, state_.log(),
                                     &keyword_plan_);
    }
    std::vector<float> keyword_of(const KeywordQuery& query, std::span<const Slot> slots) override {
        return state_.keyword().scores(query, slots, state_.log());
    }
    std::vector<float> keyword_parts_of(const KeywordQuery& query,
                                        std::span<const Slot> slots) override {
        return state_.keyword().parts(query, slots, state_.log());
    }
    std::uint32_t document_frequency(std::string_view term) const override {
        const TermId id = state_.keyword().dictionary().find(term);
        return id == kNoTerm ? 0 : state_.keyword().frequency(id);
    }

    base::Result<std::vector<Scored>> vector(std::span<const float> query,
                                             const Selection& selection, std::uint32_t limit,
                                             float recall) override {
        if (query.size() != dims_) {
            return base::fail(
                base::Code::invalid_argument,
                "the query's vector has {} dimensions, the index has {}; embed it with "
                "the model that embedded the entries",
                query.size(), dims_);
        }
        for (std::size_t d = 0; d < query.size(); ++d) {
            if (std::isfinite(query[d])) continue;
            return base::fail(
                base::Code::invalid_argument,
                "the query's vector has {} at dimension {}; every one must be a number", query[d],
                d);
        }
        if (state_.vectors() == nullptr) return std::vector<Scored>();
        return state_.vectors()->nearest(query, SlotSelection::of(selection).bits(), limit, recall,
                                         &vector_plan_);
    }
    std::vector<float> vector_of(std::span<const float> query,
                                 std::span<const Slot> slots) override {
        if (state_.vectors() == nullptr || query.size() != dims_) {
            return std::vector<float>(slots.size());
        }
        return state_.vectors()->scores(query, slots);
    }

    std::optional<Slot> slot_of(truth::RowId row) const override { return state_.slot_of(row); }
    SlotFacts facts(Slot slot) const override { return state_.facts(slot); }
    std::uint64_t words_of(Slot slot) const override { return state_.log().words_of(slot); }
    std::size_t around(Slot slot, std::uint32_t reach, std::vector<Slot>& out) const override {
        return state_.columns().around(slot, reach, out);
    }
    std::vector<Slot> before(Slot slot, std::uint32_t reach) const override {
        return state_.columns().before(slot, reach);
    }
    std::vector<Slot> after(Slot slot, std::uint32_t reach) const override {
        return state_.columns().after(slot, reach);
    }
    std::vector<Slot> session_slots(std::uint32_t session) const override {
        return state_.columns().session_slots(session);
    }

    std::string plan() const override {
        if (keyword_plan_.empty()) return vector_plan_;
        return vector_plan_.empty() ? keyword_plan_ : keyword_plan_ + "; " + vector_plan_;
    }

private:
    std::shared_lock<std::shared_mutex> lock_;
    const State& state_;
    std::uint32_t dims_;
    std::string keyword_plan_, vector_plan_;
};

class Index final : public TenantIndex {
public:
    Index(std::uint32_t dims, std::string dir) : dims_(dims), dir_(std::move(dir)) {
        // Memory only, until something is written: making that cannot fail.
        state_ = std::move(*State::make(dims_, ""));
    }

    ~Index() override {
        upkeep_.request_stop();
        if (upkeep_.joinable()) upkeep_.join();
    }

    base::Result<void> apply(std::span<const truth::Change> changes) override {
        arrived_.fetch_add(1);
        const std::lock_guard writer(writer_);
        entered_.fetch_add(1);
        entered_.notify_all();
        {
            const std::unique_lock lock(mutex_);
            if (!made_) {
                state_ = DG_TRY(State::make(dims_, dir_));
                made_ = true;
            }
            DG_TRY(state_->sound());
            for (const truth::Change& change : changes) {
                ArrivalOrder& order = order_of(change.row);
                const auto verdict = order.take(change.row, change.sequence);
                if (verdict == ArrivalOrder::Verdict::repeat) continue;
                if (verdict == ArrivalOrder::Verdict::too_old) {
                    return base::fail(base::Code::failed_precondition,
                                      "change {} comes after {}: rebuild the index",
                                      change.sequence, order.newest());
                }
                if (is_busy_) touched_.push_back(change.row);
                DG_TRY(state_->apply(change));
            }
        }
        DG_TRY(state_->sound());
        if (!is_busy_ && (wants_compaction() || wants_fit())) {
            is_busy_ = true;
            // The one before has nothing left to do.
            upkeep_ = std::jthread([this](const std::stop_token& stop) { keep_up(stop); });
        }
        return {};
    }

    base::Result<void> purge() override {
        std::unique_lock writer(writer_);
        idle_.wait(writer, [this] { return !is_busy_; });
        if (state_->dead() == 0) return {};
        is_busy_ = purges_ = true;
        purged_ = {};
        upkeep_ = std::jthread([this](const std::stop_token& stop) { keep_up(stop); });
        idle_.wait(writer, [this] { return !is_busy_; });
        return purged_;
    }

    truth::Sequence sequence() const override {
        const std::shared_lock lock(mutex_);
        return std::max(lasting_order_.newest(), session_order_.newest());
    }
    std::unique_ptr<Reader> read() override {
        std::shared_lock lock(mutex_);
        return std::make_unique<StateReader>(std::move(lock), *state_, dims_);
    }
    std::uint64_t bytes() const override {
        const std::shared_lock lock(mutex_);
        return state_->bytes() + lasting_order_.bytes() + session_order_.bytes();
    }
    base::Result<void> sound() const override {
        const std::shared_lock lock(mutex_);
        return state_->sound();
    }
    void settle() override {
        std::unique_lock writer(writer_);
        idle_.wait(writer, [this] { return !is_busy_; });
    }

private:
    // Pre of both: writer_ is held.
    bool wants_compaction() const {
        return purges_ || (state_->dead() >= std::max(kDeadMin, dead_min_) &&
                           state_->dead() >= state_->live() / 2);
    }
    bool wants_fit() const {
        return state_->vectors() != nullptr && state_->vectors()->wants_fit();
    }

    /// Until nothing is to be done.
    void keep_up(const std::stop_token& stop) {
        for (;;) {
            bool compacts = false;
            {
                const std::lock_guard writer(writer_);
                touched_.clear();
                compacts = wants_compaction();
                if (stop.stop_requested() || (!compacts && !wants_fit())) {
                    is_busy_ = false;
                    idle_.notify_all();
                    return;
                }
            }
            compacts ? compact(stop) : fit(stop);
        }
    }

    /// Runs a piece while nothing changes and readers go on; writers that came before it go first,
    /// so none waits for more than one piece. False: stopped.
    bool quietly(const std::stop_token& stop, const std::function<void()>& piece) {
        const std::uint64_t before = arrived_.load();
        for (std::uint64_t in = entered_.load(); in < before; in = entered_.load()) {
            entered_.wait(in);
        }
        if (stop.stop_requested()) return false;
        const std::lock_guard writer(writer_);
        piece();
        return true;
    }

    void compact(const std::stop_token& stop) {
        std::unique_ptr<State> other;
        base::Result<void> good;
        Slot at = 0;
        for (bool done = false; good && !done;) {
            const bool goes_on = quietly(stop, [&] {
                if (!other) {
                    auto made = state_->another();
                    if (!made) return void(good = std::unexpected(std::move(made).error()));
                    other = std::move(*made);
                }
                const Slot end = std::min(at + kCopyPiece, state_->slots());
                good = other->copy(*state_, at, end);
                at = end;
                done = at >= state_->slots();
            });
            if (!goes_on) return;
        }
        // Nobody else sees it yet.
        if (VectorIndex* vectors = good ? other->vectors() : nullptr;
            vectors && vectors->wants_fit()) {
            vectors->adopt(vectors->fit([&](const std::function<void()>& piece) {
                piece();
                return !stop.stop_requested();
            }));
        }
        for (bool done = false; good && !done;) {
            const bool goes_on = quietly(stop, [&] {
                for (Slot n = 0; good && n < kCopyPiece && !touched_.empty(); ++n) {
                    good = other->copy_row(*state_, touched_.back());
                    touched_.pop_back();
                }
                done = touched_.empty();
                if (!good || !done) return;
                good = state_->sound();
                if (good) good = other->sound();
                if (!good) return;
                const std::unique_lock lock(mutex_);
                state_.swap(other);
                dead_min_ = 0;
                purges_ = false;
            });
            if (!goes_on) return;
        }
        // A full disk, say: what is there goes on, and is tried again when it pays twice as much.
        if (!good) {
            quietly(stop, [&] {
                dead_min_ = 2 * state_->dead();
                if (std::exchange(purges_, false)) purged_ = good;
            });
        }
    }

    void fit(const std::stop_token& stop) {
        const VectorIndex& vectors = *state_->vectors();  // stays: only this thread swaps states
        auto fitted =
            vectors.fit([&](const std::function<void()>& piece) { return quietly(stop, piece); });
        for (bool done = fitted == nullptr; !done;) {
            const bool goes_on = quietly(stop, [&] {
                for (Slot n = 0; n < kCopyPiece && !touched_.empty(); ++n) {
                    if (const auto slot = state_->slot_of(touched_.back())) {
                        vectors.refit(*fitted, *slot);
                    }
                    touched_.pop_back();
                }
                done = touched_.empty();
                if (!done) return;
                const std::unique_lock lock(mutex_);
                state_->vectors()->adopt(std::move(fitted));
            });
            if (!goes_on) return;
        }
    }

    const std::uint32_t dims_;
    const std::string dir_;
    std::mutex writer_;  ///< before mutex_
    mutable std::shared_mutex mutex_;
    std::unique_ptr<State> state_;
    bool made_ = false;
    std::atomic<std::uint64_t> arrived_{0}, entered_{0};  ///< writers: at writer_, past it
    // With writer_ held:
    bool is_busy_ = false;               ///< keep_up runs
    std::vector<truth::RowId> touched_;  ///< since its last job began
    std::uint32_t dead_min_ = 0;         ///< after a compaction that failed
    bool purges_ = false;                ///< the next compaction is wanted whatever it saves
    base::Result<void> purged_;          ///< how it went
    std::condition_variable idle_;       ///< of writer_
    std::jthread upkeep_;
    /// Short-term entries that are kept apart have numbers of their own.
    ArrivalOrder& order_of(truth::RowId row) {
        return row < truth::kSessionRow ? lasting_order_ : session_order_;
    }

    ArrivalOrder lasting_order_, session_order_;
};

}  // namespace

std::unique_ptr<TenantIndex> TenantIndex::make(std::uint32_t dims, const std::string& spill_dir) {
    return std::make_unique<Index>(dims, spill_dir);
}

}  // namespace memory::index

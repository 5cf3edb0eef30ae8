// Locks and life of an index. One writer at a time; readers share. What takes long (compaction) is
// made beside the state that is read, and swapped in.

#include "memory/index/tenant_index.h"

#include <cmath>
#include <mutex>
#include <shared_mutex>

#include "base/core/check.h"
#include "memory/index/arrival_order.h"
#include "memory/index/selection.h"
#include "memory/index/state.h"
#include "memory/truth/session_truth.h"

namespace memory::index {
namespace {

/// Dead slots are dropped when there are this many, and more than a third of all.
constexpr std::uint32_t kDeadMin = 1024;

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

    base::Result<void> apply(std::span<const truth::Change> changes) override {
        const std::lock_guard writer(writer_);
        {
            const std::unique_lock lock(mutex_);
            if (!made_) {
                state_ = DG_TRY(State::make(dims_, dir_));
                made_ = true;
            }
            for (const truth::Change& change : changes) {
                ArrivalOrder& order = order_of(change.row);
                const auto verdict = order.take(change.row, change.sequence);
                if (verdict == ArrivalOrder::Verdict::repeat) continue;
                if (verdict == ArrivalOrder::Verdict::too_old) {
                    return base::fail(base::Code::failed_precondition,
                                      "change {} comes after {}: rebuild the index",
                                      change.sequence, order.newest());
                }
                DG_TRY(state_->apply(change));
            }
        }
        if (state_->dead() >= kDeadMin && state_->dead() >= state_->live() / 2) DG_TRY(compact());
        fit();
        return {};
    }

    base::Result<void> purge() override {
        const std::lock_guard writer(writer_);
        return state_->dead() == 0 ? base::Result<void>() : compact();
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

private:
    /// Pre: writer_ is held, so that nothing changes while readers go on.
    base::Result<void> compact() {
        std::unique_ptr<State> smaller = DG_TRY(state_->compacted());
        const std::unique_lock lock(mutex_);
        state_ = std::move(smaller);
        return {};
    }

    /// Pre: as compact.
    void fit() {
        VectorIndex* vectors = state_->vectors();
        if (vectors == nullptr || !vectors->wants_fit()) return;
        std::unique_ptr<VectorIndex::Fitted> fitted = vectors->fit();
        const std::unique_lock lock(mutex_);
        vectors->adopt(std::move(fitted));
    }

    const std::uint32_t dims_;
    const std::string dir_;
    std::mutex writer_;  ///< before mutex_
    mutable std::shared_mutex mutex_;
    std::unique_ptr<State> state_;
    bool made_ = false;
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

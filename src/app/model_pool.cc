#include "app/model_pool.h"

#include <algorithm>
#include <future>
#include <utility>

#include "app/model_facts.h"

namespace app {

using base::Code;
using base::fail_on;
using base::Result;
using gate::ModelState;

struct ModelPool::Resident {
    PooledEngine open;
    std::uint64_t memory_bytes = 0;
    std::uint32_t users = 0;
    std::uint64_t last_used = 0;
    bool fixed = false;
};

struct ModelPool::Slot {
    std::string id, name;
    std::uint32_t preference = 0;
    ModelState state = ModelState::unloaded;
    std::string state_text;
    std::int64_t since_unix_s = 0;
    std::optional<engine::ModelOutline>
        outline;  ///< read once; a changed file is read again when it opens
    std::unique_ptr<Resident> resident;
    std::vector<Ready> waiting;  ///< until it is unloaded
};

namespace {

void add_totals(engine::EngineStats& sum, const engine::EngineStats& one) {
    sum.prompt_tokens_total += one.prompt_tokens_total;
    sum.completion_tokens_total += one.completion_tokens_total;
    sum.requests_total += one.requests_total;
    sum.steps_total += one.steps_total;
    sum.prefill_seconds_total += one.prefill_seconds_total;
    sum.decode_seconds_total += one.decode_seconds_total;
    sum.cached_tokens_total += one.cached_tokens_total;
    sum.prefix_hits_total += one.prefix_hits_total;
    sum.prefix_misses_total += one.prefix_misses_total;
    sum.pages_evicted_total += one.pages_evicted_total;
    sum.preempted_total += one.preempted_total;
    sum.swapped_out_bytes_total += one.swapped_out_bytes_total;
    sum.forced_tokens_total += one.forced_tokens_total;
}

std::unexpected<base::Error> closing() {
    return base::fail(Code::unavailable, "the server is stopping");
}

}  // namespace

ModelPool::Lease::Lease(Lease&& other) noexcept
    : pool_(other.pool_), resident_(std::exchange(other.resident_, nullptr)) {}
ModelPool::Lease& ModelPool::Lease::operator=(Lease&& other) noexcept {
    if (this != &other) {
        reset();
        pool_ = other.pool_;
        resident_ = std::exchange(other.resident_, nullptr);
    }
    return *this;
}
engine::Engine& ModelPool::Lease::engine() const {
    return *resident_->open.engine;
}
std::uint32_t ModelPool::Lease::max_tokens_default() const {
    return resident_->open.max_tokens_default;
}
void ModelPool::Lease::reset() {
    if (resident_ != nullptr) pool_->release(*std::exchange(resident_, nullptr));
}

ModelPool::ModelPool(const base::Clock& clock, ModelSource* source, std::uint64_t budget_bytes)
    : clock_(clock),
      source_(source),
      budget_bytes_(budget_bytes > 0 ? budget_bytes : UINT64_MAX),
      thread_([this] { run(); }) {}

ModelPool::~ModelPool() {
    close();
}

void ModelPool::add(std::string id, PooledEngine engine) {
    const engine::EngineStats stats = engine.engine->stats();
    auto resident = std::make_unique<Resident>();
    resident->open = std::move(engine);
    resident->memory_bytes = stats.weights_bytes + stats.kv_bytes;
    resident->fixed = true;
    const std::lock_guard lock(mutex_);
    Slot& slot = insert(id, id, 1);
    slot.since_unix_s = clock_.unix_ns() / 1'000'000'000;
    slot.resident = std::move(resident);
    slot.state = ModelState::ready;
}

void ModelPool::offer(const std::string& id, const std::string& name, std::uint32_t preference) {
    const std::lock_guard lock(mutex_);
    insert(id, name, preference);
}

/// Under mutex_. An id that is there already keeps its place.
ModelPool::Slot& ModelPool::insert(const std::string& id, const std::string& name,
                                   std::uint32_t preference) {
    if (Slot* slot = look_up(id)) {
        slot->preference = std::max(slot->preference, preference);
        return *slot;
    }
    auto slot = std::make_unique<Slot>();
    slot->id = id;
    slot->name = name;
    slot->preference = preference;
    by_id_[id] = slot.get();
    return *slots_.emplace_back(std::move(slot));
}

ModelPool::Slot* ModelPool::look_up(std::string_view id) {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second;
}

void ModelPool::refresh_names() {
    if (source_ == nullptr) return;
    const std::vector<std::string> names = source_->names();  // reads a folder: no lock
    const std::lock_guard lock(mutex_);
    for (const std::string& name : names) insert(name, name, 0);
}

void ModelPool::look_around() {
    refresh_names();
    std::vector<Slot*> unknown;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& slot : slots_) {
            if (!slot->outline && !slot->resident) unknown.push_back(slot.get());
        }
    }
    for (Slot* slot : unknown) {
        auto outlined = outline(*slot);
        const std::lock_guard lock(mutex_);
        if (slot->state == ModelState::unloaded && !outlined) {
            slot->state = ModelState::failed;
            slot->state_text = outlined.error().message;
        } else if (outlined && !slot->outline) {
            slot->outline = *std::move(outlined);
        }
    }
}

/// A name that nobody knows may be a file that came since.
Result<ModelPool::Slot*> ModelPool::find(std::string_view id) {
    for (const bool again : {false, true}) {
        if (again) refresh_names();
        const std::lock_guard lock(mutex_);
        if (closed_) return closing();
        if (Slot* slot = look_up(id)) return slot;
    }
    std::string known;
    const std::lock_guard lock(mutex_);
    for (const auto& slot : slots_) known += (known.empty() ? "" : ", ") + slot->id;
    if (known.empty()) {
        return fail_on("model", Code::unavailable,
                       "the model is still being loaded; try again soon");
    }
    return fail_on("model", Code::not_found, "model '{}' is not known here; there is: {}", id,
                   known);
}

/// Under mutex_. Pre: it is in memory and not on its way out.
ModelPool::Lease ModelPool::lease_of(Slot& slot) {
    ++slot.resident->users;
    slot.resident->last_used = ++uses_;
    return Lease(*this, *slot.resident);
}

void ModelPool::release(Resident& resident) {
    const std::lock_guard lock(mutex_);
    if (--resident.users == 0) changed_.notify_all();
}

Result<ModelPool::Lease> ModelPool::lease_if_ready(std::string_view id) {
    Slot* slot = DG_TRY(find(id));
    const std::lock_guard lock(mutex_);
    if (closed_) return closing();
    if (slot->state != ModelState::ready) return Lease();
    return lease_of(*slot);
}

Result<ModelPool::Lease> ModelPool::lease(std::string_view id) {
    Lease now = DG_TRY(lease_if_ready(id));
    if (now) return now;
    std::promise<Result<Lease>> promise;
    auto answer = promise.get_future();
    lease_later(id, [&](Result<Lease> lease) { promise.set_value(std::move(lease)); });
    return answer.get();
}

void ModelPool::lease_later(std::string_view id, Ready ready) {
    const Result<Slot*> slot = find(id);
    if (!slot) return ready(std::unexpected(slot.error()));
    {
        const std::lock_guard lock(mutex_);
        if (!closed_) {
            if ((*slot)->state == ModelState::unloaded || (*slot)->state == ModelState::failed) {
                (*slot)->state = ModelState::loading;
            }
            orders_.push_back({*slot, std::move(ready)});
            changed_.notify_all();
            return;
        }
    }
    ready(closing());
}

void ModelPool::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return closed_ || !orders_.empty(); });
        if (orders_.empty()) return;
        Order order = std::move(orders_.front());
        orders_.pop_front();
        const bool closed = closed_;
        lock.unlock();
        if (closed) {
            order.ready(closing());
        } else {
            serve(std::move(order));
        }
        lock.lock();
    }
}

void ModelPool::serve(Order order) {
    Slot& slot = *order.slot;
    Lease lease;
    {
        const std::lock_guard lock(mutex_);
        if (slot.state == ModelState::unloading) {
            slot.waiting.push_back(std::move(order.ready));
            return;
        }
        if (slot.state == ModelState::ready) lease = lease_of(slot);
    }
    if (lease) return order.ready(std::move(lease));
    const Result<void> loaded = load(slot);
    if (!loaded) return order.ready(std::unexpected(loaded.error()));
    {
        const std::lock_guard lock(mutex_);
        lease = lease_of(slot);
    }
    order.ready(std::move(lease));
}

Result<void> ModelPool::load(Slot& slot) {
    const auto failed = [&](const base::Error& error) -> std::unexpected<base::Error> {
        const std::lock_guard lock(mutex_);
        slot.state = ModelState::failed;
        slot.state_text = error.message;
        return std::unexpected(error);
    };
    {
        const std::lock_guard lock(mutex_);
        slot.state = ModelState::loading;
        slot.state_text.clear();
    }
    auto outlined = outline(slot);
    if (!outlined) return failed(outlined.error());
    const auto room = take_room(slot, outlined->need);
    if (!room) return failed(room.error());
    const std::uint64_t memory = budget_bytes_ == UINT64_MAX ? 0 : room->bytes;
    auto open = source_->open(slot.name, memory, outlined->need.kv_bytes);
    if (!open) return failed(open.error());

    const engine::EngineStats stats = open->engine->stats();
    auto resident = std::make_unique<Resident>();
    resident->memory_bytes = stats.weights_bytes + outlined->need.scratch_bytes + stats.kv_bytes;
    outlined->info = open->engine->info();
    resident->open = *std::move(open);
    const std::lock_guard lock(mutex_);
    slot.outline = *std::move(outlined);
    slot.resident = std::move(resident);
    slot.since_unix_s = clock_.unix_ns() / 1'000'000'000;
    slot.state = ModelState::ready;
    return {};
}

Result<engine::ModelOutline> ModelPool::outline(Slot& slot) {
    const std::uint64_t budget = budget_bytes_ == UINT64_MAX ? 0 : budget_bytes_;
    return source_->outline(slot.name, budget);
}

/// Unloads what has to go and returns what is free then.
Result<Room> ModelPool::take_room(Slot& slot, const engine::MemoryNeed& need) {
    std::vector<std::pair<Slot*, std::unique_ptr<Resident>>> leaving;
    Room room;
    {
        const std::lock_guard lock(mutex_);
        std::vector<Slot*> owners;
        std::vector<HeldModel> held;
        for (const auto& other : slots_) {
            if (!other->resident) continue;
            const Resident& r = *other->resident;
            // What is on its way out by unload() is not ours to take.
            const bool fixed = r.fixed || other->state == ModelState::unloading;
            held.push_back({other->id, r.memory_bytes, r.users, r.last_used, fixed});
            owners.push_back(other.get());
        }
        room = DG_TRY(make_room(slot.id, held, budget_bytes_, need.least(), need.wished()));
        for (const std::size_t victim : room.victims) {
            owners[victim]->state = ModelState::unloading;
            leaving.emplace_back(owners[victim], std::move(owners[victim]->resident));
        }
    }
    for (auto& [owner, resident] : leaving) {
        retire(std::move(resident));
        const std::lock_guard lock(mutex_);
        owner->state = ModelState::unloaded;
    }
    return room;
}

/// Closes a model that nobody uses. Not under mutex_.
void ModelPool::retire(std::unique_ptr<Resident> resident) {
    resident->open.engine->stop();
    const engine::EngineStats last = resident->open.engine->stats();
    {
        const std::lock_guard lock(mutex_);
        add_totals(retired_, last);
    }
    resident.reset();
}

Result<void> ModelPool::unload(std::string_view id) {
    Slot& slot = *DG_TRY(find(id));
    std::unique_ptr<Resident> resident;
    {
        std::unique_lock lock(mutex_);
        if (slot.state != ModelState::ready) {
            return fail_on("model", Code::failed_precondition, "model {} is not in memory", id);
        }
        if (slot.resident->fixed) {
            return fail_on("model", Code::failed_precondition,
                           "model {} stays in memory as long as the server runs", id);
        }
        slot.state = ModelState::unloading;
        changed_.wait(lock, [&] { return closed_ || slot.resident->users == 0; });
        if (closed_) return closing();
        resident = std::move(slot.resident);
    }
    retire(std::move(resident));
    const std::lock_guard lock(mutex_);
    slot.state = ModelState::unloaded;
    for (Ready& ready : slot.waiting) orders_.push_back({&slot, std::move(ready)});
    slot.waiting.clear();
    changed_.notify_all();
    return {};
}

std::vector<gate::ModelCard> ModelPool::cards() const {
    const std::lock_guard lock(mutex_);
    std::vector<gate::ModelCard> cards;
    if (closed_) return cards;
    for (const auto& slot : slots_) cards.push_back(card_of(*slot));
    return cards;
}

gate::ModelCard ModelPool::card_of(const Slot& slot) const {
    gate::ModelCard card;
    card.id = slot.id;
    card.preference = slot.preference;
    card.created_unix_s = slot.since_unix_s;
    card.state = slot.state;
    card.state_text = slot.state_text;
    if (slot.outline) card.memory_bytes = slot.outline->need.wished();
    if (slot.resident) {
        card.memory_bytes = slot.resident->memory_bytes;
        card.requests_running = slot.resident->users;
    }
    const engine::ModelInfo* info = slot.outline ? &slot.outline->info : nullptr;
    if (slot.resident) info = &slot.resident->open.engine->info();
    if (info == nullptr) return card;
    card.generates = info->kind == engine::ModelKind::generator;
    card.embeds = !info->ranks;
    card.context_tokens = info->context_tokens;
    card.embedding_dim = info->embedding_dim;
    card.details = model_facts(*info);
    card.details["context_tokens"] = info->context_tokens;
    card.details["chat_template"] = !info->chat_template.empty();
    return card;
}

std::vector<ModelPool::Figures> ModelPool::figures() const {
    const std::lock_guard lock(mutex_);
    std::vector<Figures> all;
    for (const auto& slot : slots_) {
        if (slot->resident) all.push_back({slot->id, slot->resident->open.engine->stats()});
    }
    return all;
}

engine::EngineStats ModelPool::retired() const {
    const std::lock_guard lock(mutex_);
    return retired_;
}

void ModelPool::close() {
    {
        const std::lock_guard lock(mutex_);
        if (closed_) return;
        closed_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
    for (const auto& slot : slots_) {  // nobody adds any more
        for (Ready& ready : slot->waiting) ready(closing());
        slot->waiting.clear();
        if (!slot->resident) continue;
        slot->resident->open.engine->stop();  // requests end and give their leases back
        std::unique_ptr<Resident> leaving;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return slot->resident->users == 0; });
            leaving = std::move(slot->resident);
            slot->state = ModelState::unloaded;
        }
        retire(std::move(leaving));
    }
}

}  // namespace app

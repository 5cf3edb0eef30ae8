#pragma once
// The models of one server: which there are, which are in memory, and who uses them. Loads on
// request, one after the other on a thread of its own; unloads the longest unused idle ones when
// another needs the room; never one that somebody holds a lease on.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "app/model_room.h"
#include "base/core/clock.h"
#include "base/core/result.h"
#include "engine/engine.h"
#include "gate/model_backend.h"

namespace app {

/// A model in memory.
struct PooledEngine {
    std::unique_ptr<engine::Engine> engine;
    std::uint32_t max_tokens_default = 0;    ///< for requests that set no limit; 0: none
    std::shared_ptr<void> keeps_alive = {};  ///< what the engine reads from, if it is no file
};

/// Where the pool's models come from. Thread-safe.
class ModelSource {
public:
    virtual ~ModelSource() = default;
    /// Names that may be loaded besides those offered; asked again for names nobody knows.
    virtual std::vector<std::string> names() = 0;
    /// `budget_bytes`: what all models may take; the default share of KV is of it.
    virtual base::Result<engine::ModelOutline> outline(const std::string& name,
                                                       std::uint64_t budget_bytes) = 0;
    /// Opens it within `memory_bytes`, of which `kv_bytes` are for KV pages (0: its own choice).
    virtual base::Result<PooledEngine> open(const std::string& name, std::uint64_t memory_bytes,
                                            std::uint64_t kv_bytes) = 0;
};

class ModelPool {
    struct Slot;
    struct Resident;

public:
    /// Holds a model in memory while it lives. Empty after a move.
    class Lease {
    public:
        Lease() = default;
        ~Lease() { reset(); }
        Lease(Lease&& other) noexcept;
        Lease& operator=(Lease&& other) noexcept;
        explicit operator bool() const { return resident_ != nullptr; }
        engine::Engine& engine() const;
        std::uint32_t max_tokens_default() const;
        void reset();

    private:
        friend class ModelPool;
        Lease(ModelPool& pool, Resident& resident) : pool_(&pool), resident_(&resident) {}
        ModelPool* pool_ = nullptr;
        Resident* resident_ = nullptr;
    };
    using Ready = std::function<void(base::Result<Lease>)>;

    /// source: null when there are no models but those added. budget_bytes: 0 is no limit.
    ModelPool(const base::Clock& clock, ModelSource* source, std::uint64_t budget_bytes);
    ~ModelPool();  ///< close()

    /// A model that is in memory already and stays there.
    void add(std::string id, PooledEngine engine);
    /// A model the source knows as `name`, to be loaded when it is asked for. `preference` as in
    /// gate::ModelCard.
    void offer(const std::string& id, const std::string& name, std::uint32_t preference);

    /// Takes in what the source has and reads the outlines of models nobody has loaded yet, for
    /// cards() to be complete. Blocks.
    void look_around();

    /// Without waiting: empty when it is not in memory. Errors: not_found.
    base::Result<Lease> lease_if_ready(std::string_view id);
    /// Loads first where that is needed and blocks for it. Errors: not_found, resource_exhausted
    /// (does not fit), unavailable (closed), those of opening.
    base::Result<Lease> lease(std::string_view id);
    /// The same without blocking: `ready` is called on the pool's thread.
    void lease_later(std::string_view id, Ready ready);
    /// Waits for the requests that run, then frees the memory; requests that come meanwhile load it
    /// again afterwards. Errors: not_found, failed_precondition (not loaded, or it stays).
    base::Result<void> unload(std::string_view id);

    /// In the order of offers and adds, then what else the source has.
    /// None once it is closed.
    std::vector<gate::ModelCard> cards() const;
    struct Figures {
        std::string id;
        engine::EngineStats stats;
    };
    std::vector<Figures> figures() const;  ///< of the models in memory
    /// Of models that were unloaded, added up: totals never fall.
    engine::EngineStats retired() const;
    std::uint64_t budget_bytes() const { return budget_bytes_; }

    /// Ends all requests as cancelled and frees all models. Idempotent.
    void close();

private:
    struct Order {
        Slot* slot;
        Ready ready;
    };

    base::Result<Slot*> find(std::string_view id);
    Slot* look_up(std::string_view id);
    Slot& insert(const std::string& id, const std::string& name, std::uint32_t preference);
    void refresh_names();
    void release(Resident& resident);
    Lease lease_of(Slot& slot);
    void run();
    void serve(Order order);
    base::Result<void> load(Slot& slot);
    base::Result<engine::ModelOutline> outline(Slot& slot);
    base::Result<Room> take_room(Slot& slot, const engine::MemoryNeed& need);
    void retire(std::unique_ptr<Resident> resident);
    gate::ModelCard card_of(const Slot& slot) const;

    const base::Clock& clock_;
    ModelSource* const source_;
    const std::uint64_t budget_bytes_;

    mutable std::mutex mutex_;  ///< guards all below; never held while a model opens or closes
    std::condition_variable changed_;
    std::deque<std::unique_ptr<Slot>> slots_;  ///< grows only: addresses stay
    std::map<std::string, Slot*, std::less<>> by_id_;
    std::deque<Order> orders_;
    std::uint64_t uses_ = 0;
    engine::EngineStats retired_;
    bool closed_ = false;
    std::thread thread_;
};

}  // namespace app

#pragma once
// The sandbox and the interpreters behind one agent's session: made by its first call, found again
// by the next, gone when nobody used them for a while.

#include <compare>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "sphere/session/session.h"
#include "sphere/sphere.h"

namespace sphere::tools {

/// Whose call it is. Never an argument of a tool: who runs the model says it.
struct ToolCaller {
    std::string tenant = "default", agent = {};
    std::string session = {};  ///< a conversation: what a call left, the next one of it finds
    SandboxId sandbox = {};    ///< this one of the tenant's, instead of one of its own
    /// What a sandbox of its own is made as; tenant and agent are the caller's.
    SandboxSpec spec = {};
};

/// Thread-safe.
class ToolBoxes {
public:
    ToolBoxes(Sphere& sphere, SessionManager& sessions, std::chrono::milliseconds idle_timeout)
        : sphere_(sphere), sessions_(sessions), idle_timeout_(idle_timeout) {}

    struct Place {
        SandboxId box;
        bool replaced = false;  ///< the one that earlier calls used is gone
    };
    /// Errors: not_found for a named sandbox that is not the tenant's; Sphere::create's.
    base::Result<Place> box_of(const ToolCaller& caller);
    /// The caller's interpreter in its box, opened if need be. `opened`: it knows nothing yet.
    struct Interpreter {
        SessionId id = 0;
        bool opened = false;
    };
    base::Result<Interpreter> interpreter_of(const ToolCaller& caller, const SandboxId& box,
                                             Language language);
    /// The next call begins anew: ends the caller's own sandbox; of a named one its interpreters.
    base::Result<void> reset(const ToolCaller& caller);

private:
    struct Key {
        std::string tenant, agent, session;
        SandboxId sandbox;
        auto operator<=>(const Key&) const = default;
    };
    struct Held {
        std::mutex mutex;  // guards the rest; held while a box is made
        SandboxId box;
        std::map<Language, SessionId> interpreters;
    };
    std::shared_ptr<Held> held(const ToolCaller& caller);
    bool lives(const SandboxId& box) const;
    /// Forgets whose boxes are gone.
    void forget_gone();

    Sphere& sphere_;
    SessionManager& sessions_;
    const std::chrono::milliseconds idle_timeout_;
    std::mutex mutex_;
    std::map<Key, std::shared_ptr<Held>> held_;
};

}  // namespace sphere::tools

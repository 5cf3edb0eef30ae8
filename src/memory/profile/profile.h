#pragma once
// What is always in context: a few named texts per user and agent, small and versioned, that an
// agent and its people write. [AInfra 2.2.3] long-term memory that is not searched for.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "memory/entry.h"

namespace memory::profile {

/// Whose; "" for user or agent: of none in particular.
struct Owner {
    std::string tenant, user = {}, agent = {};
    bool operator==(const Owner&) const = default;
};

struct Block {
    std::string name;                   ///< 1 to 64 of a-z, 0-9, _ and -
    std::string text = {};              ///< UTF-8
    std::string description = {};       ///< what it is for; shown to the model, at most 1 KiB
    std::uint32_t limit_chars = 2'000;  ///< of text, in characters
    bool read_only = false;             ///< for agents: only put() with `unlock` changes it
    std::uint32_t version = 0;          ///< counts its changes
    UnixMs changed_unix_ms = 0;
    std::string by = {};
    bool operator==(const Block&) const = default;
};

struct Put {
    std::string name;
    std::optional<std::string> text = {}, description = {};  ///< what is not set stays
    std::optional<std::uint32_t> limit_chars = {};           ///< 1 to 20,000
    std::optional<bool> read_only = {};
    std::optional<std::uint32_t> expected_version = {};  ///< 0: must be new
    bool unlock = false;                                 ///< also where it is read only
};

class Profiles {
public:
    virtual ~Profiles() = default;
    /// By name.
    virtual base::Result<std::vector<Block>> list(const Owner& owner) = 0;
    /// Errors: not_found.
    virtual base::Result<Block> get(const Owner& owner, std::string_view name) = 0;
    /// Makes it where it is missing. Errors: invalid_argument, payload_too_large (over its limit:
    /// says by how much), failed_precondition (expected_version; read only).
    virtual base::Result<Block> put(const Owner& owner, const Put& put, std::string_view by) = 0;
    /// Adds a line at the end. Errors: put's.
    virtual base::Result<Block> append(const Owner& owner, std::string_view name,
                                       std::string_view line, std::string_view by) = 0;
    /// Errors: put's; failed_precondition (`before` is there not exactly once).
    virtual base::Result<Block> replace(const Owner& owner, std::string_view name,
                                        std::string_view before, std::string_view after,
                                        std::string_view by) = 0;
    /// Newest first, the present one too; the last 100.
    virtual base::Result<std::vector<Block>> history(const Owner& owner, std::string_view name) = 0;
    /// Back to what it was at `version`, as a new version. Errors: not_found.
    virtual base::Result<Block> restore(const Owner& owner, std::string_view name,
                                        std::uint32_t version, std::string_view by) = 0;
    /// With its history. Errors: not_found.
    virtual base::Result<void> remove(const Owner& owner, std::string_view name) = 0;
    /// All blocks as one text for a prompt: the same blocks give the same bytes. "" without any.
    virtual base::Result<std::string> render(const Owner& owner) = 0;
};

}  // namespace memory::profile

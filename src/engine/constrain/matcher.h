#pragma once
// Runs a grammar over bytes. A state is a set of stacks; stacks share their lower frames, frames
// and states are interned, and each transition is computed once, so that stepping is a table
// look-up in the steady case. A state is one integer: copying and rolling back cost nothing.
//
// Stack sets cannot blow up: equal stacks merge, and a set over `stacks_max` is a dead state (the
// text is refused) rather than a slow one.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/constrain/grammar.h"

namespace engine::constrain {

using StateId = std::int32_t;
constexpr StateId kDead = 0;  ///< no text can follow, not even the end

struct MatcherLimits {
    std::uint32_t stacks_max = 20'000;    ///< in one state
    std::uint32_t closure_max = 100'000;  ///< work items to find the stacks after one byte
};

/// The states of one grammar met so far. One thread.
class StateTable {
public:
    explicit StateTable(std::shared_ptr<const Grammar> grammar, MatcherLimits limits = {});

    StateId start() const { return start_; }
    /// The state after `byte`; kDead when the grammar has no such text.
    StateId step(StateId state, std::uint8_t byte);
    /// The state after all of `bytes`; kDead as soon as the grammar has no such text.
    StateId walk(StateId state, std::string_view bytes);
    /// Whether the text so far is complete.
    bool can_end(StateId state) const { return info(state).can_end; }
    /// Whether some stack was cut below (see `truncate`) and has run out.
    bool at_cut(StateId state) const { return info(state).at_cut; }
    /// How many characters of text_chars may surely follow, whichever they are: the state is inside
    /// a repetition of them. kUnbounded: without end.
    std::uint32_t text_room(StateId state);
    /// Bytes that have a live successor by the state's own terminals.
    ByteSet next_bytes(StateId state) const;

    /// A state whose stacks are the tops of `state`'s, cut under the innermost character repetition
    /// and with its counter brought to one of few values that no text of `bytes_max` bytes can tell
    /// from the true one. Many states share it, so masks are cached by it. Returns `state`
    /// when nothing can be cut.
    StateId truncate(StateId state, std::uint32_t bytes_max);

    /// The state here that has the text of `state` of another table of the same grammar behind it.
    StateId adopt(const StateTable& other, StateId state);
    /// Work items that further steps may take; a step beyond them is kDead and not remembered. What
    /// is known already costs nothing.
    void set_budget(std::uint64_t items) {
        budget_ = items;
        exhausted_ = false;
    }
    bool exhausted() const { return exhausted_; }

    std::size_t states() const { return states_.size(); }
    std::size_t memory_bytes() const;

private:
    using FrameId = std::int32_t;
    static constexpr FrameId kEnd = 0;  ///< below the root: the text is complete
    static constexpr FrameId kCut = 1;  ///< what lies below was cut off

    struct Frame {
        NodeId node = -1;
        std::int32_t at = 0;  ///< byte of a literal, child of a sequence, count, or use-set
        FrameId parent = kEnd;
        bool operator==(const Frame&) const = default;
    };
    struct FrameHash {
        std::size_t operator()(const Frame& frame) const;
    };
    /// Which members of an object are already written.
    struct UseSet {
        std::vector<std::uint64_t> used;  ///< any_order only
        std::uint32_t next = 0;           ///< first member still allowed, in schema order
        std::uint32_t count = 0;
        bool after_separator = false;
        bool operator==(const UseSet&) const = default;
    };
    struct UseSetHash {
        std::size_t operator()(const UseSet& use) const;
    };
    struct StateInfo {
        std::uint32_t first = 0, count = 0;  ///< its frames in stack_frames_
        bool can_end = false, at_cut = false;
        std::int64_t text_room = -1;  ///< not known yet
    };
    struct Work {
        bool resume;
        NodeId node;
        FrameId frame;  ///< parent when entering, the frame itself when resuming
    };
    class Closure;
    /// Scratch of Closure: members are forgotten by raising `round`.
    struct KeySet {
        std::vector<std::uint64_t> keys;
        std::vector<std::uint32_t> rounds;
        std::uint32_t round = 0, count = 0;
        void clear();
        bool insert(std::uint64_t key);
        void grow();
    };

    const StateInfo& info(StateId state) const { return states_[static_cast<std::size_t>(state)]; }
    FrameId intern(Frame frame);
    std::int32_t intern_use(UseSet use);
    StateId intern_state(std::vector<FrameId>& tops);
    StateId compute_step(StateId state, std::uint8_t byte);
    std::optional<FrameId> cut_frame(FrameId top, std::uint32_t bytes_max);
    std::int32_t representative_count(const Node& repeat, std::int32_t count,
                                      std::uint32_t bytes_max) const;
    void find_byte_classes();

    std::shared_ptr<const Grammar> grammar_;
    MatcherLimits limits_;
    std::array<std::uint16_t, 256> class_of_{};  ///< bytes no terminal tells apart share a class
    std::uint32_t classes_ = 0;

    std::vector<Frame> frames_;
    std::unordered_map<Frame, FrameId, FrameHash> frame_ids_;
    std::vector<UseSet> uses_;
    std::unordered_map<UseSet, std::int32_t, UseSetHash> use_ids_;
    std::vector<FrameId> stack_frames_;
    std::vector<StateInfo> states_;
    std::unordered_multimap<std::size_t, StateId> state_ids_;
    std::vector<StateId> transitions_;  ///< [state, class]; -1 when not computed yet
    std::unordered_map<StateId, StateId> truncated_;
    KeySet entered_, resumed_;
    std::vector<Work> work_;
    std::vector<FrameId> tops_;
    StateId start_ = kDead;
    std::uint64_t budget_ = std::numeric_limits<std::uint64_t>::max();
    bool exhausted_ = false;
};

/// The longest text that must follow `state` whatever is chosen; "" when there is a choice.
std::string forced_text(StateTable& table, StateId state, std::size_t bytes_max);

/// A position in a text under a grammar. Copies are independent and share the table.
class Matcher {
public:
    explicit Matcher(std::shared_ptr<StateTable> table)
        : table_(std::move(table)), state_(table_->start()) {}
    explicit Matcher(std::shared_ptr<const Grammar> grammar)
        : Matcher(std::make_shared<StateTable>(std::move(grammar))) {}

    /// Reads all of `bytes`, or none of them and returns false.
    bool accept(std::string_view bytes);
    bool can_end() const { return table_->can_end(state_); }
    /// The longest text that must come next whatever the model says; "" when there is a choice.
    std::string forced(std::size_t bytes_max = 256) const {
        return forced_text(*table_, state_, bytes_max);
    }
    StateId state() const { return state_; }

private:
    std::shared_ptr<StateTable> table_;
    StateId state_;
};

/// True when `text` as a whole is in the grammar.
bool matches(const std::shared_ptr<const Grammar>& grammar, std::string_view text);

}  // namespace engine::constrain

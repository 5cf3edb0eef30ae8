// The set-of-stacks matcher: its states, and the steps between them.
#include "engine/constrain/matcher.h"

#include <algorithm>

#include "engine/constrain/matcher_closure.h"

namespace engine::constrain {
namespace {

std::size_t mix(std::size_t seed, std::uint64_t value) {
    std::uint64_t x = seed ^ (value + 0x9e3779b97f4a7c15ull + (seed << 6) + (seed >> 2));
    x ^= x >> 31;
    x *= 0xbf58476d1ce4e5b9ull;
    return x ^ (x >> 29);
}

}  // namespace

std::size_t StateTable::FrameHash::operator()(const Frame& frame) const {
    return mix(mix(static_cast<std::size_t>(frame.node), static_cast<std::uint32_t>(frame.at)),
               static_cast<std::uint32_t>(frame.parent));
}

std::size_t StateTable::UseSetHash::operator()(const UseSet& use) const {
    std::size_t hash = mix(use.next, use.count * 2ull + use.after_separator);
    for (const auto word : use.used) hash = mix(hash, word);
    return hash;
}

void StateTable::KeySet::clear() {
    count = 0;
    if (++round != 0) return;
    std::fill(rounds.begin(), rounds.end(), 0);  // after 2^32 rounds
    round = 1;
}

bool StateTable::KeySet::insert(std::uint64_t key) {
    if ((count + 1) * 2 > keys.size()) grow();
    const std::size_t last = keys.size() - 1;
    for (std::size_t at = mix(0, key) & last;; at = (at + 1) & last) {
        if (rounds[at] != round) {
            rounds[at] = round;
            keys[at] = key;
            ++count;
            return true;
        }
        if (keys[at] == key) return false;
    }
}

void StateTable::KeySet::grow() {
    const std::vector<std::uint64_t> old_keys = std::move(keys);
    const std::vector<std::uint32_t> old_rounds = std::move(rounds);
    keys.assign(std::max<std::size_t>(64, old_keys.size() * 2), 0);
    rounds.assign(keys.size(), round - 1);
    count = 0;
    for (std::size_t i = 0; i < old_keys.size(); ++i) {
        if (old_rounds[i] == round) insert(old_keys[i]);
    }
}

StateTable::StateTable(std::shared_ptr<const Grammar> grammar, MatcherLimits limits)
    : grammar_(std::move(grammar)), limits_(limits) {
    find_byte_classes();
    frames_.resize(2);  // kEnd and kCut
    states_.resize(1);  // kDead
    transitions_.assign(classes_, kDead);
    Closure closure(*this);
    closure.enter(grammar_->root(), kEnd);
    start_ = intern_state(closure.run());
}

void StateTable::find_byte_classes() {
    // Refines one class of all bytes by every terminal of the grammar.
    std::vector<ByteSet> sets;
    for (std::size_t i = 0; i < grammar_->size(); ++i) {
        const Node& node = grammar_->node(static_cast<NodeId>(i));
        if (node.kind == NodeKind::bytes) sets.push_back(grammar_->bytes(node));
    }
    std::sort(sets.begin(), sets.end());
    sets.erase(std::unique(sets.begin(), sets.end()), sets.end());
    ByteSet in_literals;
    for (std::size_t i = 0; i < grammar_->size(); ++i) {
        const Node& node = grammar_->node(static_cast<NodeId>(i));
        if (node.kind != NodeKind::literal) continue;
        for (const char c : grammar_->literal(node)) in_literals.add(static_cast<std::uint8_t>(c));
    }
    for (int byte = 0; byte < 256; ++byte) {
        ByteSet one;
        one.add(static_cast<std::uint8_t>(byte));
        if (in_literals.has(static_cast<std::uint8_t>(byte))) sets.push_back(one);
    }
    classes_ = 1;
    for (const ByteSet& set : sets) {
        std::vector<std::int32_t> split(classes_, -1);
        std::vector<std::uint32_t> inside(classes_, 0), all(classes_, 0);
        for (int byte = 0; byte < 256; ++byte) {
            ++all[class_of_[byte]];
            inside[class_of_[byte]] += set.has(static_cast<std::uint8_t>(byte));
        }
        for (int byte = 0; byte < 256; ++byte) {
            const auto old = class_of_[byte];
            if (!set.has(static_cast<std::uint8_t>(byte)) || inside[old] == all[old]) continue;
            if (split[old] < 0) split[old] = static_cast<std::int32_t>(classes_++);
            class_of_[byte] = static_cast<std::uint16_t>(split[old]);
        }
    }
}

StateTable::FrameId StateTable::intern(Frame frame) {
    const auto [found, fresh] = frame_ids_.try_emplace(frame, static_cast<FrameId>(frames_.size()));
    if (fresh) frames_.push_back(frame);
    return found->second;
}

std::int32_t StateTable::intern_use(UseSet use) {
    const auto [found, fresh] = use_ids_.try_emplace(use, static_cast<std::int32_t>(uses_.size()));
    if (fresh) uses_.push_back(std::move(use));
    return found->second;
}

StateId StateTable::intern_state(std::vector<FrameId>& tops) {
    if (tops.empty()) return kDead;
    std::size_t hash = tops.size();
    for (const FrameId top : tops) hash = mix(hash, static_cast<std::uint32_t>(top));
    const auto [first, last] = state_ids_.equal_range(hash);
    for (auto it = first; it != last; ++it) {
        const StateInfo& known = info(it->second);
        if (std::equal(tops.begin(), tops.end(), stack_frames_.begin() + known.first,
                       stack_frames_.begin() + known.first + known.count)) {
            return it->second;
        }
    }
    StateInfo fresh;
    fresh.first = static_cast<std::uint32_t>(stack_frames_.size());
    fresh.count = static_cast<std::uint32_t>(tops.size());
    fresh.can_end = tops.front() == kEnd;
    fresh.at_cut = std::binary_search(tops.begin(), tops.end(), kCut);
    stack_frames_.insert(stack_frames_.end(), tops.begin(), tops.end());
    const auto id = static_cast<StateId>(states_.size());
    states_.push_back(fresh);
    state_ids_.emplace(hash, id);
    transitions_.resize(transitions_.size() + classes_, -1);
    return id;
}

StateId StateTable::step(StateId state, std::uint8_t byte) {
    const std::size_t slot = static_cast<std::size_t>(state) * classes_ + class_of_[byte];
    if (transitions_[slot] < 0) {
        if (budget_ == 0) {
            exhausted_ = true;
            return kDead;
        }
        const StateId next = compute_step(state, byte);
        transitions_[slot] = next;
    }
    return transitions_[slot];
}

StateId StateTable::walk(StateId state, std::string_view bytes) {
    for (const char c : bytes) {
        state = step(state, static_cast<std::uint8_t>(c));
        if (state == kDead) break;
    }
    return state;
}

StateId StateTable::compute_step(StateId state, std::uint8_t byte) {
    Closure closure(*this);
    const StateInfo at = info(state);
    for (std::uint32_t i = 0; i < at.count; ++i) {
        const FrameId top = stack_frames_[at.first + i];
        if (top == kEnd || top == kCut) continue;
        const Frame frame = frames_[static_cast<std::size_t>(top)];
        const Node& node = grammar_->node(frame.node);
        if (node.kind == NodeKind::bytes) {
            if (grammar_->bytes(node).has(byte)) closure.resume(frame.parent);
            continue;
        }
        const std::string& text = grammar_->literal(node);
        if (static_cast<std::uint8_t>(text[static_cast<std::size_t>(frame.at)]) != byte) continue;
        if (static_cast<std::size_t>(frame.at) + 1 == text.size()) {
            closure.resume(frame.parent);
        } else {
            closure.keep(intern({frame.node, frame.at + 1, frame.parent}));
        }
    }
    std::vector<FrameId>& waiting = closure.run();
    budget_ -= std::min<std::uint64_t>(budget_, at.count + work_.size() + waiting.size());
    return intern_state(waiting);
}

std::uint32_t StateTable::text_room(StateId state) {
    const auto index = static_cast<std::size_t>(state);
    if (states_[index].text_room >= 0) return static_cast<std::uint32_t>(states_[index].text_room);
    const StateInfo at = info(state);
    std::uint32_t room = 0;
    FrameId tried = kEnd;
    for (std::uint32_t i = 0; i < at.count; ++i) {
        const FrameId top = stack_frames_[at.first + i];
        const FrameId parent = frames_[static_cast<std::size_t>(top)].parent;
        if (top == kEnd || top == kCut || parent == tried) continue;
        const Frame frame = frames_[static_cast<std::size_t>(parent)];
        if (parent == kEnd || parent == kCut) continue;
        const Node& repeat = grammar_->node(frame.node);
        if (repeat.kind != NodeKind::repeat) continue;
        if (!grammar_->takes_text(repeat.children.front())) continue;
        tried = parent;
        // `at` counts the character being read. The last one has no frame of its own.
        const std::uint32_t here = repeat.max == kUnbounded
                                       ? kUnbounded
                                       : repeat.max - static_cast<std::uint32_t>(frame.at) + 1;
        if (here <= room) continue;
        // The state must be between two characters: it waits for all that the body begins with.
        Closure closure(*this);
        closure.enter(repeat.children.front(), parent);
        const std::vector<FrameId>& wanted = closure.run();
        const auto tops = stack_frames_.begin() + at.first;
        if (!wanted.empty() && std::includes(tops, tops + at.count, wanted.begin(), wanted.end())) {
            room = here;
        }
    }
    states_[index].text_room = room;
    return room;
}

ByteSet StateTable::next_bytes(StateId state) const {
    ByteSet next;
    const StateInfo& at = info(state);
    for (std::uint32_t i = 0; i < at.count; ++i) {
        const FrameId top = stack_frames_[at.first + i];
        if (top == kEnd || top == kCut) continue;
        const Frame& frame = frames_[static_cast<std::size_t>(top)];
        const Node& node = grammar_->node(frame.node);
        if (node.kind == NodeKind::bytes) {
            next |= grammar_->bytes(node);
        } else {
            next.add(static_cast<std::uint8_t>(
                grammar_->literal(node)[static_cast<std::size_t>(frame.at)]));
        }
    }
    return next;
}

std::int32_t StateTable::representative_count(const Node& repeat, std::int32_t count,
                                              std::uint32_t bytes_max) const {
    const auto done = static_cast<std::uint32_t>(count);
    const bool far_from_max = repeat.max == kUnbounded || repeat.max - done > bytes_max;
    if (!far_from_max) return count;
    if (done >= repeat.min) return static_cast<std::int32_t>(repeat.min);
    return repeat.min - done > bytes_max ? 0 : count;
}

std::optional<StateTable::FrameId> StateTable::cut_frame(FrameId top, std::uint32_t bytes_max) {
    // The innermost repetition, at most a few frames down: the body of a string or a number.
    constexpr std::size_t kDepthMax = 6;
    std::vector<Frame> above;
    for (FrameId id = top; id != kEnd && id != kCut && above.size() < kDepthMax;) {
        Frame frame = frames_[static_cast<std::size_t>(id)];
        const Node& node = grammar_->node(frame.node);
        id = frame.parent;
        above.push_back(frame);
        if (node.kind != NodeKind::repeat) continue;
        above.back().at = representative_count(node, frame.at, bytes_max);
        FrameId cut = kCut;
        for (auto it = above.rbegin(); it != above.rend(); ++it) {
            it->parent = cut;
            cut = intern(*it);
        }
        return cut;
    }
    return std::nullopt;
}

StateId StateTable::truncate(StateId state, std::uint32_t bytes_max) {
    if (const auto known = truncated_.find(state); known != truncated_.end()) return known->second;
    const StateInfo at = info(state);
    std::vector<FrameId> tops;
    bool repeats = false;
    for (std::uint32_t i = 0; i < at.count; ++i) {
        const FrameId top = stack_frames_[at.first + i];
        if (top == kEnd || top == kCut) {
            tops.push_back(kCut);
            continue;
        }
        const std::optional<FrameId> cut = cut_frame(top, bytes_max);
        repeats = repeats || cut;
        // A stack outside any repetition (a closing quote) keeps its terminal alone.
        Frame terminal = frames_[static_cast<std::size_t>(top)];
        terminal.parent = kCut;
        tops.push_back(cut ? *cut : intern(terminal));
    }
    std::sort(tops.begin(), tops.end());
    tops.erase(std::unique(tops.begin(), tops.end()), tops.end());
    // An end or a cut at the very top would leave every token to the full state.
    const bool useful = repeats && !std::binary_search(tops.begin(), tops.end(), kCut);
    const StateId cut = useful ? intern_state(tops) : state;
    truncated_.emplace(state, cut);
    return cut;
}

StateId StateTable::adopt(const StateTable& other, StateId state) {
    std::unordered_map<FrameId, FrameId> moved{{kEnd, kEnd}, {kCut, kCut}};
    const auto move_stack = [&](FrameId top) {
        std::vector<FrameId> path;
        for (FrameId id = top; !moved.contains(id);
             id = other.frames_[static_cast<std::size_t>(id)].parent) {
            path.push_back(id);
        }
        for (auto it = path.rbegin(); it != path.rend(); ++it) {
            Frame frame = other.frames_[static_cast<std::size_t>(*it)];
            frame.parent = moved.at(frame.parent);
            if (grammar_->node(frame.node).kind == NodeKind::members) {
                frame.at = intern_use(other.uses_[static_cast<std::size_t>(frame.at)]);
            }
            moved[*it] = intern(frame);
        }
        return moved.at(top);
    };
    const StateInfo& old = other.info(state);
    std::vector<FrameId> tops;
    for (std::uint32_t i = 0; i < old.count; ++i) {
        tops.push_back(move_stack(other.stack_frames_[old.first + i]));
    }
    std::sort(tops.begin(), tops.end());
    return intern_state(tops);
}

std::size_t StateTable::memory_bytes() const {
    return transitions_.size() * sizeof(StateId) + stack_frames_.size() * sizeof(FrameId) +
           frames_.size() * 4 * sizeof(Frame) + states_.size() * 4 * sizeof(StateInfo) +
           uses_.size() *
               (4 * sizeof(UseSet) + (uses_.empty() ? 0 : uses_.back().used.size() * 16));
}

bool Matcher::accept(std::string_view bytes) {
    const StateId state = table_->walk(state_, bytes);
    if (state == kDead) return false;
    state_ = state;
    return true;
}

std::string forced_text(StateTable& table, StateId state, std::size_t bytes_max) {
    std::string text;
    while (text.size() < bytes_max && state != kDead && !table.can_end(state)) {
        const ByteSet next = table.next_bytes(state);
        if (next.count() != 1) break;
        for (std::size_t word = 0; word < next.words.size(); ++word) {
            if (next.words[word] == 0) continue;
            text.push_back(static_cast<char>(
                word * 64 + static_cast<std::size_t>(std::countr_zero(next.words[word]))));
        }
        state = table.step(state, static_cast<std::uint8_t>(text.back()));
    }
    return text;
}

bool matches(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
    Matcher matcher(grammar);
    return matcher.accept(text) && matcher.can_end();
}

}  // namespace engine::constrain

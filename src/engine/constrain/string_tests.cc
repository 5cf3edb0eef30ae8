#include "engine/constrain/string_tests.h"

#include <algorithm>
#include <map>

#include "base/core/utf8.h"

namespace engine::constrain {
namespace {

using base::Code;
using base::fail;
using base::Result;

constexpr std::size_t kNfaStatesMax = 20'000;
constexpr std::size_t kStatesMax = 3'000;
constexpr std::uint64_t kWorkMax = 10'000'000;  // tenths of a second

/// One test as a non-deterministic automaton (Thompson 1968).
class Nfa {
public:
    struct State {
        std::vector<int> free;             ///< next without reading
        const CharClass* chars = nullptr;  ///< or reading one of these
        int next = -1;
    };

    explicit Nfa(const StringTest& test) : negated(test.negated) {
        start = add();
        accept = build(test.regex, start);
    }

    bool too_large() const { return states.size() > kNfaStatesMax; }
    /// The states reached from `set` without reading, sorted.
    void close(std::vector<int>& set) const {
        std::vector<bool> in(states.size(), false);
        for (const int state : set) in[static_cast<std::size_t>(state)] = true;
        for (std::size_t done = 0; done < set.size(); ++done) {
            for (const int next : states[static_cast<std::size_t>(set[done])].free) {
                if (in[static_cast<std::size_t>(next)]) continue;
                in[static_cast<std::size_t>(next)] = true;
                set.push_back(next);
            }
        }
        std::ranges::sort(set);
    }

    bool negated;
    std::vector<State> states;
    int start = 0, accept = 0;

private:
    int add() {
        states.emplace_back();
        return static_cast<int>(states.size()) - 1;
    }
    void join(int from, int to) { states[static_cast<std::size_t>(from)].free.push_back(to); }

    int build(const Regex& regex, int from) {
        if (too_large()) return from;
        switch (regex.kind) {
            case RegexKind::chars: {
                const int to = add();
                State& state = states[static_cast<std::size_t>(from)];
                if (state.chars != nullptr) break;
                state.chars = &regex.chars;
                state.next = to;
                return to;
            }
            case RegexKind::sequence:
                for (const Regex& child : regex.children) from = build(child, own(from));
                return from;
            case RegexKind::choice: {
                const int end = add();
                for (const Regex& child : regex.children) {
                    const int begin = add();
                    join(from, begin);
                    join(build(child, begin), end);
                }
                return end;
            }
            case RegexKind::repeat:
                return repeat(regex, from);
        }
        return from;
    }

    /// A fresh state behind `from`: one state reads at most one class.
    int own(int from) {
        const int to = add();
        join(from, to);
        return to;
    }

    int repeat(const Regex& regex, int from) {
        const Regex& body = regex.children.front();
        for (std::uint32_t i = 0; i < regex.min && !too_large(); ++i) from = build(body, own(from));
        if (regex.max == kUnbounded) {
            const int loop = own(from), end = own(loop);
            join(build(body, own(loop)), loop);
            return end;
        }
        const int end = add();
        join(from, end);
        for (std::uint32_t i = regex.min; i < regex.max && !too_large(); ++i) {
            from = build(body, own(from));
            join(from, end);
        }
        return end;
    }
};

/// Characters that no test tells apart, as one letter.
struct Alphabet {
    std::vector<CharClass> letters;
    std::map<const CharClass*, std::vector<bool>> has;

    explicit Alphabet(const std::vector<Nfa>& tests) {
        std::vector<std::uint32_t> borders{0, kCodePointMax + 1};
        for (const Nfa& test : tests) {
            for (const Nfa::State& state : test.states) {
                if (state.chars == nullptr || !has.try_emplace(state.chars).second) continue;
                for (const auto& range : state.chars->ranges()) {
                    borders.push_back(range.first);
                    borders.push_back(range.last + 1);
                }
            }
        }
        std::ranges::sort(borders);
        borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
        std::map<std::vector<bool>, std::size_t> letter_of;
        for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
            std::vector<bool> inside;
            for (const auto& [chars, unused] : has) inside.push_back(chars->has(borders[i]));
            const auto [found, fresh] = letter_of.try_emplace(inside, letters.size());
            if (fresh) letters.emplace_back();
            letters[found->second].add(borders[i], borders[i + 1] - 1);
        }
        for (auto& [chars, members] : has) {
            for (const CharClass& letter : letters) {
                members.push_back(chars->has(letter.ranges().front().first));
            }
        }
    }
};

class Product {
public:
    Product(GrammarBuilder& builder, std::span<const StringTest> tests, std::uint64_t min,
            std::uint64_t max)
        : builder_(builder), tests_(tests.begin(), tests.end()), min_(min), max_(max) {}

    Result<NodeId> run() {
        for (const Nfa& test : tests_) {
            if (test.too_large()) return too_large();
        }
        const Alphabet alphabet(tests_);
        State first;
        for (const Nfa& test : tests_) {
            first.sets.push_back({test.start});
            test.close(first.sets.back());
        }
        const NodeId start = rule_of(first);
        for (std::size_t done = 0; done < open_.size(); ++done) {
            if (open_.size() > kStatesMax || work_ > kWorkMax) return too_large();
            const State state = open_[done]->first;
            builder_.define_rule(open_[done]->second, body(state, alphabet));
        }
        return start;
    }

private:
    struct State {
        std::vector<std::vector<int>> sets;  ///< one per test
        std::uint64_t length = 0;            ///< as far as a bound looks at it
        auto operator<=>(const State&) const = default;
    };

    std::unexpected<base::Error> too_large() const {
        return fail(Code::unimplemented,
                    "the patterns and lengths of this string together need over {} states; put "
                    "the length into one pattern",
                    kStatesMax);
    }

    NodeId rule_of(const State& state) {
        const auto [found, fresh] = rules_.try_emplace(state, -1);
        if (fresh) {
            found->second = builder_.declare_rule();
            open_.push_back(found);
        }
        return found->second;
    }

    bool accepts(const State& state) const {
        if (state.length < min_) return false;
        for (std::size_t i = 0; i < tests_.size(); ++i) {
            const bool matched = std::ranges::binary_search(state.sets[i], tests_[i].accept);
            if (matched == tests_[i].negated) return false;
        }
        return true;
    }

    /// The state after a letter; nothing when a test has failed for good.
    std::optional<State> step(const State& state, std::size_t letter, const Alphabet& alphabet) {
        State next;
        if (max_ < kUnbounded && state.length >= max_) return std::nullopt;
        next.length = state.length + 1;
        if (max_ >= kUnbounded) next.length = std::min(next.length, min_);
        for (std::size_t i = 0; i < tests_.size(); ++i) {
            std::vector<int> set;
            work_ += 1 + state.sets[i].size();
            for (const int at : state.sets[i]) {
                const Nfa::State& from = tests_[i].states[static_cast<std::size_t>(at)];
                if (from.chars != nullptr && alphabet.has.at(from.chars)[letter]) {
                    set.push_back(from.next);
                }
            }
            std::ranges::sort(set);
            set.erase(std::unique(set.begin(), set.end()), set.end());
            tests_[i].close(set);
            work_ += tests_[i].states.size() / 64 + set.size();
            if (set.empty() && !tests_[i].negated) return std::nullopt;
            next.sets.push_back(std::move(set));
        }
        return next;
    }

    NodeId body(const State& state, const Alphabet& alphabet) {
        std::map<NodeId, CharClass> edges;
        for (std::size_t letter = 0; letter < alphabet.letters.size(); ++letter) {
            const auto next = step(state, letter, alphabet);
            if (next) edges[rule_of(*next)].add(alphabet.letters[letter]);
        }
        std::vector<NodeId> forms;
        const NodeId self = rule_of(state);
        for (const auto& [rule, chars] : edges) {
            if (rule == self) continue;
            forms.push_back(
                builder_.sequence({json_char(builder_, chars, chars == CharClass::all()), rule}));
        }
        if (accepts(state)) forms.push_back(builder_.sequence({}));
        const NodeId leave = builder_.choice(std::move(forms));
        if (!edges.contains(self)) return leave;
        // As a repetition, not as recursion: masks know those (StateTable::text_room).
        const CharClass& stay = edges.at(self);
        return builder_.sequence(
            {builder_.repeat(json_char(builder_, stay, stay == CharClass::all()), 0), leave});
    }

    GrammarBuilder& builder_;
    std::vector<Nfa> tests_;
    std::uint64_t min_, max_, work_ = 0;
    std::map<State, NodeId> rules_;
    std::vector<std::map<State, NodeId>::iterator> open_;
};

}  // namespace

Regex regex_of(std::span<const std::string> texts) {
    Regex any{RegexKind::choice, {}, {}, 0, 0};
    for (const std::string& text : texts) {
        Regex one{RegexKind::sequence, {}, {}, 0, 0};
        for (std::size_t at = 0; at < text.size();) {
            const base::Utf8Char c = base::utf8_at(text, at);
            const auto code = static_cast<std::uint32_t>(c.code);
            one.children.push_back({RegexKind::chars, CharClass::of(code, code), {}, 0, 0});
            at += c.bytes;
        }
        any.children.push_back(std::move(one));
    }
    return any;
}

Result<NodeId> tested_string(GrammarBuilder& builder, std::span<const StringTest> tests,
                             std::uint64_t min, std::uint64_t max) {
    return Product(builder, tests, min, max).run();
}

}  // namespace engine::constrain

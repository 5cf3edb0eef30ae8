#include "engine/tokenizer/pre_split.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <string>

#include "base/core/check.h"
#include "engine/tokenizer/pre_split_rules.h"

namespace engine {
namespace {

// What model tokenizers mean by \s: Unicode White_Space. PCRE2's own \s adds U+180E.
constexpr std::string_view kSpaces =
    "\\t-\\r\\x20\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}"
    "\\x{3000}";

std::string with_unicode_spaces(std::string_view pattern) {
    std::string out;
    bool in_class = false;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const char c = pattern[i];
        if (c != '\\') {
            in_class = c == '[' ? true : c == ']' ? false : in_class;
            out.push_back(c);
            continue;
        }
        const char escaped = pattern[++i];
        if (escaped == 's' && in_class) {
            out.append(kSpaces);
        } else if (escaped == 's' || escaped == 'S') {
            out.append(escaped == 's' ? "[" : "[^").append(kSpaces).append("]");
        } else {
            out.append({c, escaped});
        }
    }
    return out;
}

struct CodeFree {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchDataFree {
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct MatchContextFree {
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct JitStackFree {
    void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};
using Code = std::unique_ptr<pcre2_code, CodeFree>;
using MatchData = std::unique_ptr<pcre2_match_data, MatchDataFree>;

Code compile(std::string_view pattern) {
    const std::string text = with_unicode_spaces(pattern);
    int error = 0;
    PCRE2_SIZE where = 0;
    Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                            PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &error, &where, nullptr));
    DG_CHECK(code != nullptr, text);
    // Without JIT support the interpreter takes over: slower, same matches.
    pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
    return code;
}

// Runs one expression over many segments. A match that exhausts the ordinary JIT stack is tried
// again with a large one; should even that fail, the rest of the segment stays one word, so that
// the bytes always come out whole.
class Matcher {
public:
    explicit Matcher(const pcre2_code* code)
        : code_(code), data_(pcre2_match_data_create(1, nullptr)) {
        DG_CHECK(data_ != nullptr);
    }

    /// The next match at or after `at`; {size, size} when there is none.
    std::pair<std::size_t, std::size_t> next(std::string_view text, std::size_t at) {
        int found = run(text, at);
        if (found == PCRE2_ERROR_JIT_STACKLIMIT && context_ == nullptr) {
            context_.reset(pcre2_match_context_create(nullptr));
            stack_.reset(pcre2_jit_stack_create(64u << 10, 64u << 20, nullptr));
            DG_CHECK(context_ != nullptr && stack_ != nullptr);
            pcre2_jit_stack_assign(context_.get(), nullptr, stack_.get());
            found = run(text, at);
        }
        if (found < 0) return {text.size(), text.size()};
        const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data_.get());
        return {bounds[0], bounds[1]};
    }

private:
    int run(std::string_view text, std::size_t at) {
        return pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                           PCRE2_NO_UTF_CHECK, data_.get(), context_.get());
    }

    const pcre2_code* code_;
    MatchData data_;
    std::unique_ptr<pcre2_match_context, MatchContextFree> context_;
    std::unique_ptr<pcre2_jit_stack, JitStackFree> stack_;
};

void split_segment(Matcher& matcher, std::string_view segment,
                   std::vector<std::string_view>& words) {
    std::size_t at = 0;
    while (at < segment.size()) {
        const auto [begin, end] = matcher.next(segment, at);
        if (begin > at) words.push_back(segment.substr(at, begin - at));
        if (end > begin) words.push_back(segment.substr(begin, end - begin));
        at = std::max(end, begin);
        if (end == begin && begin < segment.size()) {  // an empty match cannot move on by itself
            words.push_back(segment.substr(begin));
            return;
        }
    }
}

}  // namespace

struct PreSplitter::Impl {
    std::vector<Code> expressions;
    bool ignores_merges = false;
    bool adds_bos = false;
};

PreSplitter::PreSplitter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PreSplitter::PreSplitter(PreSplitter&&) noexcept = default;
PreSplitter& PreSplitter::operator=(PreSplitter&&) noexcept = default;
PreSplitter::~PreSplitter() = default;

base::Result<PreSplitter> PreSplitter::create(std::string_view pre) {
    const PreSplitRule* rule = find_pre_split_rule(pre.empty() ? "default" : pre);
    if (rule == nullptr) {
        return base::fail(
            base::Code::unimplemented,
            "the vocabulary names the pre-split rule \"{}\", which is not known; known "
            "are: {}",
            pre, known_pre_split_rules());
    }
    auto impl = std::make_unique<Impl>();
    for (const std::string_view pattern : rule->patterns) {
        if (!pattern.empty()) impl->expressions.push_back(compile(pattern));
    }
    impl->ignores_merges = rule->ignores_merges;
    impl->adds_bos = rule->adds_bos;
    return PreSplitter(std::move(impl));
}

bool PreSplitter::ignores_merges() const {
    return impl_->ignores_merges;
}
bool PreSplitter::adds_bos() const {
    return impl_->adds_bos;
}

void PreSplitter::split(std::string_view text, std::vector<std::string_view>& words) const {
    words.assign(1, text);
    std::vector<std::string_view> cut;
    for (const Code& expression : impl_->expressions) {
        cut.clear();
        cut.reserve(words.size() + text.size() / 8);
        Matcher matcher(expression.get());
        for (const std::string_view segment : words) split_segment(matcher, segment, cut);
        words.swap(cut);
    }
}

}  // namespace engine

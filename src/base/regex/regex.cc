#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/regex/regex.h"

#include <pcre2.h>

namespace base {
namespace {
constexpr std::uint32_t kStepsMax = 100'000, kDepthMax = 10'000, kHeapKiBMax = 4096;
constexpr std::size_t kPatternBytesMax = 4096;
}  // namespace

struct Regex::Code {
    pcre2_code* code = nullptr;
    pcre2_match_context* context = nullptr;
    Code() = default;
    Code(const Code&) = delete;
    Code& operator=(const Code&) = delete;
    ~Code() {
        pcre2_match_context_free(context);
        pcre2_code_free(code);
    }
};

Result<Regex> Regex::compile(std::string_view pattern, Use use) {
    if (pattern.size() > kPatternBytesMax) {
        return fail(base::Code::invalid_argument, "the pattern has {} bytes, at most {}",
                    pattern.size(), kPatternBytesMax);
    }
    auto code = std::make_shared<Code>();
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_compile_context* how = nullptr;
    std::uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C;
    if (use == Use::whole) {
        options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
    } else {
        options |= PCRE2_ALT_BSUX | PCRE2_MATCH_UNSET_BACKREF;
        how = pcre2_compile_context_create(nullptr);
        if (how != nullptr) pcre2_set_compile_extra_options(how, PCRE2_EXTRA_ALT_BSUX);
    }
    code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                               options, &error, &offset, how);
    pcre2_compile_context_free(how);
    if (code->code == nullptr) {
        PCRE2_UCHAR text[256];
        pcre2_get_error_message(error, text, sizeof(text));
        return fail(base::Code::invalid_argument, "pattern '{}' at byte {}: {}", pattern, offset,
                    reinterpret_cast<const char*>(text));
    }
    pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE);  // a saving only; both ways keep the limits
    code->context = pcre2_match_context_create(nullptr);
    if (code->context == nullptr) return fail(base::Code::resource_exhausted, "out of memory");
    pcre2_set_match_limit(code->context, kStepsMax);
    pcre2_set_depth_limit(code->context, kDepthMax);
    pcre2_set_heap_limit(code->context, kHeapKiBMax);
    return Regex(std::string(pattern), std::move(code));
}

Regex::Match Regex::match(std::string_view text) const {
    pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
    if (data == nullptr) return Match::gave_up;
    const int found = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(text.data()),
                                  text.size(), 0, 0, data, code_->context);
    pcre2_match_data_free(data);
    if (found >= 0) return Match::yes;
    return found == PCRE2_ERROR_NOMATCH ? Match::no : Match::gave_up;
}

}  // namespace base

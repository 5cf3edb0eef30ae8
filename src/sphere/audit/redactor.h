#pragma once
// Takes secret values out of texts before anything is written: one pass over the text finds every
// secret in every form it is likely to travel in (Aho and Corasick 1975).

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace sphere::audit {

struct Secret {
    std::string name;  ///< what the reader sees instead
    std::string value;
};

/// Immutable; any thread may use it.
class Redactor {
public:
    /// Shorter values would redact half the language: "42" is in every second line.
    static constexpr std::size_t kValueBytesMin = 6;

    Redactor() = default;  ///< redacts nothing
    /// Each value is sought as it is, in base64 (both alphabets, at any offset of an encoded text),
    /// in hexadecimal (both cases), percent-encoded (all but unreserved bytes; also with + for a
    /// space) and with JSON's escapes.
    /// Errors: invalid_argument naming a secret whose value is shorter than kValueBytesMin.
    static base::Result<Redactor> create(const std::vector<Secret>& secrets);

    /// `text` with each occurrence replaced by `[secret:NAME]`. Of overlapping ones, all bytes go.
    std::string apply(std::string_view text) const;
    bool empty() const { return patterns_.empty(); }

    /// The same for a stream whose length must not change: each byte of an occurrence becomes '*'.
    /// The redactor outlives it. Not thread-safe.
    class Mask {
    public:
        explicit Mask(const Redactor& redactor) : redactor_(redactor) {}
        /// Appends to `out` the bytes so far, but for an end that may begin an occurrence.
        void feed(std::string_view bytes, std::string& out);
        /// What was held back: the stream has ended.
        void finish(std::string& out);

    private:
        const Redactor& redactor_;
        std::size_t state_ = 0;
        std::string held_;
    };

private:
    struct Pattern {
        std::size_t bytes;
        std::uint32_t secret;
    };
    void add(std::string_view pattern, std::uint32_t secret);
    void link();

    std::vector<std::string> names_;
    std::vector<Pattern> patterns_;
    // The automaton: state x class -> state. Bytes that are in no pattern share class 0.
    std::array<std::uint16_t, 256> class_of_{};
    std::size_t classes_ = 1;
    std::vector<std::string> texts_;     // while building
    std::vector<std::uint32_t> next_;    // [states, classes]
    std::vector<std::int32_t> longest_;  // per state: the longest pattern that ends here, or -1
    std::vector<std::uint32_t> depth_;   // per state: how much of a pattern has been seen
};

}  // namespace sphere::audit

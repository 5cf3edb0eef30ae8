#pragma once
// Before byte-level BPE merges anything, each model family cuts the text into words by its own
// regular expressions; a merge never crosses a cut. The rule is named by the vocabulary's `pre`.

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace engine {

class PreSplitter {
public:
    /// Errors: unimplemented, naming a rule that is not in the table.
    static base::Result<PreSplitter> create(std::string_view pre);
    PreSplitter(PreSplitter&&) noexcept;
    PreSplitter& operator=(PreSplitter&&) noexcept;
    ~PreSplitter();

    /// Cuts `text` into `words`, whose bytes together are `text`. Pre: valid UTF-8. Thread-safe.
    void split(std::string_view text, std::vector<std::string_view>& words) const;

    /// A word that is a token as a whole is taken without merging.
    bool ignores_merges() const;
    /// Whether the family starts texts with BOS when the model file does not say.
    bool adds_bos() const;

private:
    struct Impl;
    explicit PreSplitter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace engine

#pragma once
// A model's own numbers, read from its file under the architecture's prefix and checked: whatever
// is missing or absurd is refused with the key's full name, before it sizes a buffer.

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "engine/model_files/gguf.h"

namespace engine {

class Hparams {
public:
    /// `file` must outlive this. Errors: data_loss (no general.architecture).
    static base::Result<Hparams> read(const GgufFile& file);

    const std::string& architecture() const { return architecture_; }
    const GgufFile& file() const { return *file_; }
    /// "llama" + ".block_count"
    std::string key(std::string_view suffix) const;
    bool has(std::string_view suffix) const { return file_->has(key(suffix)); }

    // All errors are data_loss and name the key, the value found and the values allowed.
    base::Result<std::uint32_t> count(std::string_view suffix, std::uint32_t max) const;
    base::Result<std::uint32_t> count_or(std::string_view suffix, std::uint32_t fallback,
                                         std::uint32_t min, std::uint32_t max) const;
    /// A number some models give per layer; refused unless all layers agree.
    base::Result<std::uint32_t> uniform_count_or(std::string_view suffix, std::uint32_t fallback,
                                                 std::uint32_t layers, std::uint32_t max) const;
    base::Result<float> real(std::string_view suffix, float min, float max) const;
    base::Result<float> real_or(std::string_view suffix, float fallback, float min,
                                float max) const;
    base::Result<std::string> text_or(std::string_view suffix, std::string fallback) const;

private:
    Hparams(const GgufFile& file, std::string architecture);

    const GgufFile* file_;
    std::string architecture_;
};

}  // namespace engine

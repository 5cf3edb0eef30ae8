#include "memory/embedder.h"

namespace memory {

base::Result<void> check_room(const Embedder& embedder, std::size_t texts, std::size_t numbers) {
    if (numbers == texts * embedder.dims()) return {};
    return base::fail(base::Code::invalid_argument,
                      "room for {} numbers, {} texts of {} dimensions need {}", numbers, texts,
                      embedder.dims(), texts * embedder.dims());
}

}  // namespace memory

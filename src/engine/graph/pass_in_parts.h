#pragma once
// A pass over the layers that stops between parts, so that other passes run in between: a chunk of
// a prompt that is too much for one step reads the weights and what is before it once, however many
// steps it takes.
//
// From part to part goes the rows' state between layers, kept here. Keys and values go into the
// pages layer by layer, so the rows' positions are written only when the last part is done; until
// then the pages that hold them must be nobody else's and stay where they are.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/graph/batch_row.h"
#include "engine/graph/unset_floats.h"

namespace engine {

/// Room for one pass at a time, for one decoder. Decoder::begin fills it, Decoder::advance computes
/// it. Forgetting a pass half done is what happens when another one begins or this is destroyed.
class PassInParts {
public:
    /// Rows that fit, at most as many as the decoder takes in one pass. `dim` is the decoder's.
    PassInParts(std::uint32_t rows_max, std::uint32_t dim)
        : x_(std::size_t{rows_max} * dim), rows_max_(rows_max) {
        rows_.reserve(rows_max);
    }
    std::uint32_t rows_max() const { return rows_max_; }
    std::span<const BatchRow> rows() const { return rows_; }
    /// The part that comes next, of parts().
    std::uint32_t part() const { return part_; }
    std::uint32_t parts() const { return parts_; }
    bool done() const { return part_ == parts_; }

private:
    friend class Decoder;

    UnsetFloats x_;  ///< [rows, dim], between layers
    std::vector<BatchRow> rows_;
    std::size_t count_ = 0;  ///< rows still computed: after the last cache write those wanted
    std::uint32_t rows_max_;
    std::uint32_t part_ = 0, parts_ = 0;
};

}  // namespace engine

#pragma once
// How long the next part of a pass will take. Pure: what parts took in, expectations out.
//
// Parts of one pass differ: attention grows with depth and the rest does not, and some layers look
// at a window only. So what share of a pass each part takes is learned from whole passes, and how
// fast this pass goes from its parts so far.

#include <cstdint>
#include <vector>

namespace engine {

class PartPace {
public:
    /// Of parts of the same time, for all that is known.
    explicit PartPace(std::uint32_t parts);
    /// The last of them takes `last_share` of the whole pass.
    PartPace(std::uint32_t parts, double last_share);

    /// A pass of the first `parts` parts begins that should take `seconds`; 0: nobody knows.
    void begin(std::uint32_t parts, double seconds);
    /// Its next part took `seconds`.
    void observe(double seconds);
    /// Its next part was computed along with another pass's: nobody knows what it took.
    void skip();
    /// The pass came to its end.
    void end();
    /// Seconds the next part will take; 0 when nothing is known. Pre: the pass is not over.
    double next() const;
    /// Seconds of the next part and all after it.
    double left() const;
    /// What the parts since begin() took together, without those skipped.
    double seconds() const { return seconds_; }
    /// The same, and what those skipped would have taken.
    double seconds_with_skipped() const { return seconds_ + pace() * skipped_share_; }

private:
    double pace() const;

    std::uint32_t parts_ = 0;     ///< of this pass
    std::vector<double> shares_;  ///< of each part; of whole passes, decayed, they sum to 1
    std::vector<double> taken_;   ///< in this pass; negative: skipped
    double expected_ = 0;         ///< of this pass, as begin() was told
    double expected_share_ = 0;   ///< of its parts
    double share_ = 0;            ///< of its parts so far
    double skipped_share_ = 0;    ///< of those skipped
    double seconds_ = 0;
};

}  // namespace engine

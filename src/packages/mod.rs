//! What dependency sources share: who lists packages, who knows their versions, and what follows from the two.
//!
//! What does not belong here: configuration and polling (`sources::python`), judging what a person must do (`rules::dependencies`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `manifests` | who lists packages: requirements files, lock files, an environment |
//! | `indexes` | who knows versions: the simple index, its answers kept on disk, where its address comes from |
//! | `advisories` | who knows weaknesses: OSV, an index's own list, what was said last |
//! | `ecosystem` | whose packages: how names and versions are compared there |
//! | `kept` | files of what can be had again |
//! | `life` | until when releases of products are supported |
//! | `notes` | what a project says of its releases |
//! | `registry` | lock files and registries that go by semantic versions: npm, Cargo |
//! | `versions` | versions, constraints, markers and interpreters; wraps the crates that know PEP 440 and PEP 508 |
//! | `compare` | what is there against what is out; pure |

pub mod advisories;
pub mod compare;
pub mod ecosystem;
pub mod indexes;
pub mod kept;
pub mod life;
pub mod manifests;
pub mod notes;
pub mod registry;
pub mod versions;

use crate::support::{HostSetup, Shape, World};

#[test]
fn a_good_certificate_is_told_to_the_backend() {
    let world = World::with(HostSetup::new("shop.example.com").observe("ours"));
    let (_, answer) = world.client("shop.example.com").presenting(Shape::P256).get().expect("it is let in");
    assert_eq!(answer.backend_saw("x-client-verify"), Some("SUCCESS"));
}

#[derive(Debug)]
pub struct Trust;
